// Random quantised rows and their exact floats, for tests of kernels.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "runtime/format/half.h"
#include "runtime/format/quant.h"

namespace hotset::test {

inline constexpr BlockType kAllTypes[] = {BlockType::kF32,  BlockType::kF16,  BlockType::kBF16, BlockType::kQ8_0,
                                          BlockType::kQ4_0, BlockType::kQ4_K, BlockType::kQ5_K, BlockType::kQ6_K,
                                          BlockType::kMXFP4};

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
    const uint16_t half = float_to_half(value), half_min = float_to_half(value / 3);
    const uint16_t brain = float_to_bfloat16(value);
    std::byte* block = made.blocks.data() + at;
    switch (type) {
      case BlockType::kF32: std::memcpy(block, &value, 4); break;
      case BlockType::kBF16: std::memcpy(block, &brain, 2); break;
      case BlockType::kMXFP4: block[0] = static_cast<std::byte>(105 + random() % 19); break;
      case BlockType::kQ6_K: std::memcpy(block + 208, &half, 2); break;
      case BlockType::kQ4_K:
      case BlockType::kQ5_K: std::memcpy(block + 2, &half_min, 2); [[fallthrough]];
      default: std::memcpy(block, &half, 2); break;
    }
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
