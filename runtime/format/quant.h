// Quantised block types: how rows of weights lie in a model file, and the exact floats that they stand for.
//
// A row is a sequence of blocks; a block holds block_elements() weights in block_bytes() bytes, little-endian. The
// layouts and formulas are those of the ggml tensor library, whose type numbers GGUF files use. Pure functions; any
// thread.
//
//   F32, F16, BF16   one number
//   Q8_0             f16 d, int8 q[32]                                            d * q
//   Q4_0             f16 d, 16 bytes: low nibbles 0..15, high nibbles 16..31      d * (q - 8)
//   Q4_1             f16 d, f16 m, nibbles as in Q4_0                             d * q + m
//   Q5_0, Q5_1       f16 d (, f16 m), 32 fifth bits, nibbles as in Q4_0           d * (q - 16), d * q + m
//   IQ4_NL           as Q4_0, nibbles count in a table of 16 numbers              d * table[q]
//   MXFP4            1 byte e, 16 bytes of nibbles as in Q4_0: E2M1 floats q    2^(e - 127) * q
//   NVFP4            4 E4M3 scales, then for each 16 weights 8 bytes: low nibbles 0..7, high 8..15    scale * q
//   Q1_0             f16 d, 128 bits                                              d * (2 q - 1)
//   Q2_0             f16 d, 64 bit pairs                                          d * (q - 1)
//   Q4_K             f16 d, f16 dmin, 8 x (6-bit scale, 6-bit min), 128 bytes     d * scale * q - dmin * min
//   Q5_K             as Q4_K with a fifth bit for each q in 32 bytes before the nibbles
//   Q6_K             128 bytes low nibbles, 64 bytes high bit pairs, int8 scale[16], f16 d    d * scale * (q - 32)
//   Q2_K             16 x (4-bit scale, 4-bit min), 64 bytes of bit pairs, f16 d, f16 dmin    d * scale * q - dmin * min
//   Q3_K             32 bytes of third bits, 64 of bit pairs, 16 x 6-bit scale, f16 d         d * (scale - 32) * (q - 4)
//   IQ1, IQ2, IQ3    indices into code books of 8 or 4 numbers, signs, scales of 16 or 32     runtime/format/whole_blocks.cc
//   IQ4_XS           f16 d, 8 x 6-bit scale, nibbles of IQ4_NL                    d * (scale - 32) * table[q]
//   TQ1_0, TQ2_0     256 digits to base 3, five a byte or as bit pairs, f16 d     d * (q - 1)
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
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI32 = 26,  // whole numbers: tables, no weights
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  kNVFP4 = 40,
  kQ1_0 = 41,
  kQ2_0 = 42,
};

// The type with this ggml number. Error (kUnsupported): "type Q8_1 is not supported yet" for a type that exists but
// cannot be run, "unknown quantisation type 97" for any other number.
Result<BlockType> block_type_from_number(uint32_t ggml_number);

// "Q4_K" for every number that ggml has given out, also where the type is not supported; nullptr for others.
const char* ggml_type_name(uint32_t ggml_number);

// nullptr and 0 for a number that is none of BlockType's.
const char* block_type_name(BlockType type);
uint32_t block_elements(BlockType type);
uint32_t block_bytes(BlockType type);

// Bytes of `elements` weights in a row. Error: not a multiple of the block, or more than 64 bits hold.
Result<uint64_t> row_bytes(BlockType type, uint64_t elements);

// The floats that `blocks` stand for. Error: `blocks` is not exactly the bytes of out.size() weights.
Status dequantize(BlockType type, std::span<const std::byte> blocks, std::span<float> out);

}  // namespace hotset
