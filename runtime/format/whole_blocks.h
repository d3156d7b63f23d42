// Blocks as whole numbers under few scales: what dequantisation and the portable products make of the types that have no
// code of their own. Layouts and formulas: runtime/format/quant.h. Pure functions; any thread.
#pragma once

#include <cstdint>

#include "runtime/format/quant.h"

namespace hotset {

// 256 weights: weight i is d * scales[i / 16] * quants[i] - dmin * mins[i / 16].
struct WholeBlock {
  float d;
  float dmin;
  int16_t scales[16];
  int16_t mins[16];
  int8_t quants[256];  // -127..127; every sum of their products with 8-bit numbers and scales fits 32 bits
};

// 32 weights: weight i is scales[i / 16] * quants[i] - min.
struct WholeGroup {
  float scales[2];
  float min;
  int8_t quants[32];
};

// How a type of blocks of 256 is read; nullptr for others, and for Q4_K, Q5_K and Q6_K.
using ExpandBlock = void (*)(const uint8_t* block, WholeBlock& out);
ExpandBlock block_expander(BlockType type);

// How a type of smaller blocks is read: group `index` of the block that `block` starts; nullptr for others, and for Q8_0,
// Q4_0 and MXFP4.
using ExpandGroup = void (*)(const uint8_t* block, uint32_t index, WholeGroup& out);
ExpandGroup group_expander(BlockType type);

}  // namespace hotset
