// Where values lie: each from its first step to its last, so that values that are never needed together share memory.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/model/model_spec.h"

namespace hotset {

struct ValueLayout {
  std::vector<uint64_t> offsets;  // bytes, by id; of values that no step touches, and of the logits, 0
  uint64_t size_bytes = 0;
};

// For `tokens` rows a value in a session with this context, each value at a multiple of `alignment`.
ValueLayout lay_out_values(const ModelSpec& spec, uint32_t tokens, uint32_t context_tokens, uint64_t alignment);

}  // namespace hotset
