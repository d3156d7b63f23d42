// Writing pack files (offload/pack_file.h).
#pragma once

#include <span>
#include <string>

#include "offload/pack_file.h"

namespace hotset {

// Packs the experts of a model whose files are `parts`, in the order of ByteRange::part. The file is there as a whole or not at all;
// it takes the place of an earlier pack, of no other file. Errors: kCancelled, kInvalidArgument when `path` is taken, kIo.
Status write_pack(const std::string& path, const ExpertTable& table, std::span<const File* const> parts, const PackProgress& progress);

}  // namespace hotset
