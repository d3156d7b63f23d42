// Where one tensor of a model file lies and how it is shaped. A plain value.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "runtime/format/quant.h"

namespace hotset {

// Invariants, checked when the file was opened: 1 <= n_dims <= 4, every dimension >= 1 (unused ones are 1), dims[0] a whole
// number of blocks, and [file_offset_bytes, file_offset_bytes + size_bytes) inside the part and shared with no other tensor.
//
// A file may hold tensors of types that this build does not know, as long as nobody needs them: `type` is then their number,
// size_bytes 0, and rows need not be whole blocks. Whoever means to use a tensor asks check_type first.
struct TensorInfo {
  std::string name;
  BlockType type = BlockType::kF32;
  std::array<uint64_t, 4> dims = {1, 1, 1, 1};  // innermost first: dims[0] is the row
  uint32_t n_dims = 0;
  uint32_t part = 0;               // which file of a split model
  uint64_t file_offset_bytes = 0;  // from the start of that file
  uint64_t size_bytes = 0;

  // Error (kUnsupported): "tensor 'blk.0.x': unknown quantisation type 97".
  Status check_type() const;
  // "Q4_K"; "type 97" where there is no name.
  std::string type_name() const;
  uint64_t elements() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
  uint64_t rows() const { return dims[1] * dims[2] * dims[3]; }
};

}  // namespace hotset
