// The header of one safetensors file, checked: which tensors lie where, in which number format.
//
//   u64 header bytes (little-endian), header: a JSON object, data
//   "NAME": {"dtype": "BF16", "shape": [4096, 128], "data_offsets": [begin, end]}, offsets from the data's start; "__metadata__" is free text
//
// As the format wants it, tensors lie one behind the other and fill the data: no holes, no overlap, nothing behind the last.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "platform/file.h"
#include "platform/status.h"

namespace hotset {

enum class StoredType { kBool, kU8, kI8, kF8E4M3, kF8E5M2, kF8E8M0, kU16, kI16, kF16, kBF16, kU32, kI32, kF32, kU64, kI64, kF64 };

// "BF16"; what a file calls it.
const char* stored_type_name(StoredType type);
uint32_t stored_type_bytes(StoredType type);

constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kMaxStoredDims = 8;

// Invariants, checked when the file was opened: size_bytes is the shape's product times the type's bytes, and the range lies in the file
// and is shared with no other tensor. Dimensions are outermost first and may be 0; no dimension is a single number.
struct StoredTensor {
  std::string name;
  StoredType type = StoredType::kF32;
  std::vector<uint64_t> shape;
  uint32_t file = 0;               // which file of a checkpoint
  uint64_t file_offset_bytes = 0;  // from the start of that file
  uint64_t size_bytes = 0;

  uint64_t elements() const { return size_bytes / stored_type_bytes(type); }
};

// In the order of their data. Errors: kCorrupt or kUnsupported with one line on what is wrong, after "'PATH': "; what File::read says.
Result<std::vector<StoredTensor>> read_safetensors_header(const File& file);

// Numbers as floats; whole numbers are rounded, bools are 0 and 1. Error: `bytes` is not exactly out.size() numbers.
Status stored_to_floats(StoredType type, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace hotset
