// Where one tensor of a model file lies and how it is shaped. A plain value.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "runtime/format/quant.h"

namespace hotset {

// Invariants, checked when the file was opened: 1 <= n_dims <= 4, every dimension >= 1 (unused ones are 1), dims[0] a whole
// number of blocks, and [file_offset_bytes, file_offset_bytes + size_bytes) inside the part and shared with no other tensor.
struct TensorInfo {
  std::string name;
  BlockType type = BlockType::kF32;
  std::array<uint64_t, 4> dims = {1, 1, 1, 1};  // innermost first: dims[0] is the row
  uint32_t n_dims = 0;
  uint32_t part = 0;               // which file of a split model
  uint64_t file_offset_bytes = 0;  // from the start of that file
  uint64_t size_bytes = 0;

  uint64_t elements() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
  uint64_t rows() const { return dims[1] * dims[2] * dims[3]; }
};

}  // namespace hotset
