// ModelIdentity: whether a file beside the model (a pack) was made from this model.
//
// It covers the size of every part, where each expert lies, and samples of the experts' bytes; not every byte, so that opening
// a model of any size stays a matter of milliseconds. A value; any thread.
#pragma once

#include <cstdint>
#include <span>

#include "offload/expert_table.h"
#include "platform/file.h"
#include "platform/status.h"

namespace hotset {

struct ModelIdentity {
  uint64_t layout_hash = 0;
  uint64_t sample_hash = 0;
  bool operator==(const ModelIdentity&) const = default;
};

// `parts` in the order of ByteRange::part. Error: what File::read says.
Result<ModelIdentity> identify_model(const ExpertTable& table, std::span<const File* const> parts);

}  // namespace hotset
