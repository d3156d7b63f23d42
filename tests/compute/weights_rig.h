// Random weights of every block type, as bytes of a file and as the floats that they stand for.
#pragma once

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "runtime/format/half.h"
#include "runtime/format/quant.h"

namespace hotset::test {

struct RandomWeights {
  std::vector<std::byte> bytes;
  std::vector<float> floats;
};

constexpr BlockType kAllTypes[] = {BlockType::kF32,  BlockType::kF16,  BlockType::kBF16, BlockType::kQ8_0,
                                   BlockType::kQ4_0, BlockType::kQ4_K, BlockType::kQ5_K, BlockType::kQ6_K};

inline void put_half(std::vector<std::byte>& bytes, size_t at, float value) {
  const uint16_t bits = float_to_half(value);
  bytes[at] = static_cast<std::byte>(bits & 0xff);
  bytes[at + 1] = static_cast<std::byte>(bits >> 8);
}

// Random quants under scales that keep weights near 1.
inline RandomWeights random_weights(BlockType type, size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  RandomWeights made;
  made.floats.resize(count);
  made.bytes.resize(row_bytes(type, count).value());
  if (type == BlockType::kF32 || type == BlockType::kF16 || type == BlockType::kBF16) {
    std::normal_distribution<float> normal;
    for (float& value : made.floats) value = normal(random);
    REQUIRE(quantize(type, made.floats, made.bytes).ok());
  } else {
    for (std::byte& byte : made.bytes) byte = static_cast<std::byte>(random());
    for (size_t block = 0; block < made.bytes.size(); block += block_bytes(type)) {
      const float scale = 0.5f + static_cast<float>(random() % 1000) / 1000;
      if (type == BlockType::kQ6_K) {
        put_half(made.bytes, block + 208, scale / 1024);
      } else {
        put_half(made.bytes, block, type == BlockType::kQ8_0 ? scale / 64 : type == BlockType::kQ4_0 ? scale / 4 : scale / 256);
      }
      if (type == BlockType::kQ4_K || type == BlockType::kQ5_K) put_half(made.bytes, block + 2, scale / 32);
    }
  }
  REQUIRE(dequantize(type, made.bytes, made.floats).ok());
  return made;
}

}  // namespace hotset::test
