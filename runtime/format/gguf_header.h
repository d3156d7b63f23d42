// The header of one GGUF file: everything before the tensor data, checked.
//
// GGUF (versions 2 and 3, little-endian):
//   "GGUF", u32 version, u64 tensors, u64 entries
//   entries of   string key, u32 type, value          string = u64 length, bytes; array = u32 type, u64 count, values
//   tensors of   string name, u32 n_dims, u64 dims[n_dims], u32 block type, u64 offset from the data's start
//   padding to general.alignment (32 when absent), data
//
// The file is an attacker: each length and count is compared with what the file still holds, and with the limits below,
// before anything is allocated or skipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "platform/file.h"
#include "platform/status.h"
#include "runtime/format/gguf_value.h"
#include "runtime/format/tensor_info.h"

namespace hotset {

// Far above real files (the largest vocabularies make 20 MiB), and low enough that a hostile file costs little.
constexpr uint64_t kMaxGgufHeaderBytes = 256ull << 20;
constexpr uint64_t kMaxGgufArrayElements = 1ull << 24;
constexpr uint64_t kMaxGgufEntries = 1ull << 16;
constexpr uint64_t kMaxGgufTensors = 1ull << 18;
constexpr uint64_t kMaxGgufKeyBytes = 65535;       // the format's own limit
constexpr uint64_t kMaxGgufTensorNameBytes = 64;   // the format's own limit
constexpr uint32_t kMaxGgufArrayDepth = 4;         // arrays in arrays; real files use none
constexpr uint64_t kMaxGgufAlignment = 16u << 20;

// Move-only, because the values point into `bytes`.
struct GgufHeader {
  GgufHeader() = default;
  GgufHeader(GgufHeader&&) = default;
  GgufHeader& operator=(GgufHeader&&) = default;

  uint32_t version = 0;
  uint64_t alignment = 32;
  uint64_t data_offset_bytes = 0;   // where tensor data starts
  std::vector<std::byte> bytes;     // the file up to the end of the tensor table
  std::vector<GgufValue> values;    // keys are unique and not empty
  std::vector<TensorInfo> tensors;  // in the file's order, names unique, part = 0
};

// Reads with few, buffered reads and touches no tensor data. Errors: kCorrupt or kUnsupported with one line that says what
// is wrong where, after "'PATH': "; what File::read says.
Result<GgufHeader> read_gguf_header(const File& file);

}  // namespace hotset
