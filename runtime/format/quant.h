// Quantised block types: how rows of weights lie in a model file, and the exact floats that they stand for.
//
// A row is a sequence of blocks; a block holds block_elements() weights in block_bytes() bytes, little-endian. The
// layouts and formulas are those of the ggml tensor library, whose type numbers GGUF files use. Pure functions; any
// thread.
//
//   F32, F16, BF16   one number
//   Q8_0             f16 d, int8 q[32]                                            d * q
//   Q4_0             f16 d, 16 bytes: low nibbles 0..15, high nibbles 16..31      d * (q - 8)
//   MXFP4            1 byte e, 16 bytes of nibbles as in Q4_0: E2M1 floats q    2^(e - 127) * q
//   Q4_K             f16 d, f16 dmin, 8 x (6-bit scale, 6-bit min), 128 bytes     d * scale * q - dmin * min
//   Q5_K             as Q4_K with a fifth bit for each q in 32 bytes before the nibbles
//   Q6_K             128 bytes low nibbles, 64 bytes high bit pairs, int8 scale[16], f16 d    d * scale * (q - 32)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "platform/status.h"

namespace hotset {

// The types this build can run, by their ggml number.
enum class BlockType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kI32 = 26,  // whole numbers: tables, no weights
  kBF16 = 30,
  kMXFP4 = 39,
};

// The type with this ggml number. Error (kUnsupported): "type IQ2_XS is not supported yet" for a type that exists but
// cannot be run, "unknown quantisation type 97" for any other number.
Result<BlockType> block_type_from_number(uint32_t ggml_number);

// "Q4_K" for every number that ggml has given out, also where the type is not supported; nullptr for others.
const char* ggml_type_name(uint32_t ggml_number);

const char* block_type_name(BlockType type);
uint32_t block_elements(BlockType type);
uint32_t block_bytes(BlockType type);

// Bytes of `elements` weights in a row. Error: not a multiple of the block, or more than 64 bits hold.
Result<uint64_t> row_bytes(BlockType type, uint64_t elements);

// The floats that `blocks` stand for. Error: `blocks` is not exactly the bytes of out.size() weights.
Status dequantize(BlockType type, std::span<const std::byte> blocks, std::span<float> out);

// Rounds `values` into `blocks`, byte for byte as ggml's reference quantiser does. F32, F16, BF16, Q8_0 and Q4_0 only.
// Errors: another type (kUnsupported), sizes that do not fit each other.
Status quantize(BlockType type, std::span<const float> values, std::span<std::byte> blocks);

}  // namespace hotset
