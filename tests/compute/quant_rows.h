// Random quantised rows and their exact floats, for tests of kernels.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "runtime/format/half.h"
#include "runtime/format/quant.h"

namespace hotset::test {

inline constexpr BlockType kAllTypes[] = {
    BlockType::kF32,    BlockType::kF16,     BlockType::kBF16,  BlockType::kQ8_0,    BlockType::kQ4_0,   BlockType::kQ4_K,  BlockType::kQ5_K,
    BlockType::kQ6_K,   BlockType::kMXFP4,   BlockType::kQ4_1,  BlockType::kQ5_0,    BlockType::kQ5_1,   BlockType::kQ2_K,  BlockType::kQ3_K,
    BlockType::kIQ4_NL, BlockType::kIQ4_XS,  BlockType::kIQ1_S, BlockType::kIQ1_M,   BlockType::kIQ2_XXS, BlockType::kIQ2_XS, BlockType::kIQ2_S,
    BlockType::kIQ3_XXS, BlockType::kIQ3_S,  BlockType::kNVFP4, BlockType::kQ1_0,    BlockType::kQ2_0,   BlockType::kTQ1_0, BlockType::kTQ2_0};

// Where the half `d` of a block lies, and how far behind it that of the mins (0: the type has none). Types of single numbers and
// those whose scales are no halves in one piece (IQ1_M, MXFP4, NVFP4) have neither.
struct HalfPlaces {
  uint32_t d = 0;
  uint32_t mins_behind = 0;
};

inline HalfPlaces half_places(BlockType type) {
  switch (type) {
    case BlockType::kQ4_1:
    case BlockType::kQ5_1:
    case BlockType::kQ4_K:
    case BlockType::kQ5_K: return {0, 2};
    case BlockType::kQ2_K: return {80, 2};
    case BlockType::kQ3_K: return {108, 0};
    case BlockType::kQ6_K: return {208, 0};
    case BlockType::kTQ1_0: return {52, 0};
    case BlockType::kTQ2_0: return {64, 0};
    default: return {0, 0};
  }
}

// Sets what a block's numbers are scaled by: `scale` and `min` where those are halves or the number itself; `power`, the byte of an
// MXFP4 or NVFP4 scale.
inline void set_scales(BlockType type, float scale, float min, uint8_t power, std::byte* block) {
  const uint16_t half = float_to_half(scale), half_min = float_to_half(min), brain = float_to_bfloat16(scale);
  const HalfPlaces places = half_places(type);
  switch (type) {
    case BlockType::kF32: std::memcpy(block, &scale, 4); return;
    case BlockType::kBF16: std::memcpy(block, &brain, 2); return;
    case BlockType::kMXFP4: block[0] = static_cast<std::byte>(power); return;
    case BlockType::kNVFP4: std::memset(block, power, 4); return;
    case BlockType::kIQ1_M:  // four bits on top of each of four 16-bit numbers
      for (uint32_t i = 0; i < 4; ++i) block[49 + 2 * i] = (block[49 + 2 * i] & std::byte{15}) | static_cast<std::byte>((half >> (4 * i) & 15) << 4);
      return;
    default: break;
  }
  if (places.mins_behind != 0) std::memcpy(block + places.d + places.mins_behind, &half_min, 2);
  std::memcpy(block + places.d, &half, 2);
}

// A matrix as it lies in a file, and what it stands for.
struct QuantRows {
  std::vector<std::byte> blocks;
  std::vector<float> values;  // [rows][cols]
};

// Any quants, with scales of either sign from 2^-22 (a subnormal half) to 2^-4: what models hold.
inline QuantRows random_rows(BlockType type, uint32_t rows, uint32_t cols, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> spread(-1, 1);
  std::uniform_real_distribution<float> exponent(-22, -4);
  const uint32_t elements = block_elements(type), size = block_bytes(type);
  QuantRows made;
  made.values.resize(size_t{rows} * cols);
  made.blocks.resize(made.values.size() / elements * size);
  for (auto& byte : made.blocks) byte = static_cast<std::byte>(random() & 255);
  for (size_t at = 0; at < made.blocks.size(); at += size) {
    const float value = std::copysign(std::exp2(exponent(random)), spread(random));
    const auto power = static_cast<uint8_t>(type == BlockType::kNVFP4 ? random() % 120 : 105 + random() % 19);
    set_scales(type, value, value / 3, power, made.blocks.data() + at);
  }
  (void)dequantize(type, made.blocks, made.values).ok();
  return made;
}

inline std::vector<float> random_floats(size_t count, uint32_t seed, float scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> made(count);
  for (float& value : made) value = normal(random);
  return made;
}

}  // namespace hotset::test
