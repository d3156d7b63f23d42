#include "tests/tools/random_rare_blocks.h"

#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "platform/check.h"
#include "runtime/format/mxfp4.h"
#include "runtime/format/quant.h"

namespace hotset::test {
namespace {

// Where the half `d` lies.
uint32_t place_of_scale(BlockType type) {
  switch (type) {
    case BlockType::kQ2_K: return 80;
    case BlockType::kQ3_K: return 108;
    case BlockType::kTQ1_0: return 52;
    case BlockType::kTQ2_0: return 64;
    default: return 0;
  }
}

// Turns bit pairs 3 into 1: what is left is symmetric around 1.
void clear_threes(std::span<std::byte> bytes) {
  for (std::byte& byte : bytes) byte &= ~(byte << 1 & byte & std::byte{0xaa});
}

// Changes random bits so that the middle of the values is 0, given the mins of set_scale.
void centre(BlockType type, std::byte* block) {
  if (type == BlockType::kQ2_0) clear_threes({block + 2, 16});
  if (type == BlockType::kTQ2_0) clear_threes({block, 64});
  if (type != BlockType::kQ2_K) return;
  for (uint32_t i = 0; i < 16; ++i) block[i] = (block[i] & std::byte{15}) | (block[i] << 4);  // each min as its scale
}

void set_scale(BlockType type, double scale, std::byte* block) {
  const auto put = [&](uint32_t at, double value) {
    const uint16_t bits = half_bits(static_cast<float>(value));
    std::memcpy(block + at, &bits, sizeof bits);
  };
  const uint32_t at = place_of_scale(type);
  if (type == BlockType::kIQ1_M) {  // four bits on top of each of four 16-bit numbers
    const uint16_t bits = half_bits(static_cast<float>(scale));
    for (uint32_t i = 0; i < 4; ++i) block[49 + 2 * i] = (block[49 + 2 * i] & std::byte{15}) | static_cast<std::byte>((bits >> (4 * i) & 15) << 4);
    return;
  }
  put(at, scale);
  if (type == BlockType::kQ4_1) put(2, -7.5 * scale);
  if (type == BlockType::kQ5_1) put(2, -15.5 * scale);
  if (type == BlockType::kQ2_K) put(82, 1.5 * scale);
}

// Each of four scales: one of the two E4M3 numbers around the wanted one, drawn so that squares are right.
void draw_e4m3(double scale, Random& random, std::byte* block) {
  uint8_t below = 0;
  while (below < 125 && static_cast<double>(nvfp4_half_scale(static_cast<uint8_t>(below + 1))) <= scale) ++below;
  const double low = static_cast<double>(nvfp4_half_scale(below)), high = static_cast<double>(nvfp4_half_scale(static_cast<uint8_t>(below + 1)));
  const double share = (scale * scale - low * low) / (high * high - low * low);
  for (uint32_t i = 0; i < 4; ++i) block[i] = static_cast<std::byte>(below + (random.next_signed() * 0.5 + 0.5 < share));
}

// Root mean square of the values of random blocks whose scale is 1.
double measure_spread(BlockType type) {
  const auto stored = static_cast<hotset::BlockType>(type);
  const uint32_t size = block_bytes(stored), elements = block_elements(stored), blocks = 65536 / elements;
  std::vector<std::byte> bytes(size_t{blocks} * size);
  Random random(1);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next() >> 56);
  for (uint32_t i = 0; i < blocks; ++i) {
    std::byte* block = bytes.data() + size_t{i} * size;
    centre(type, block);
    if (type == BlockType::kNVFP4) std::memset(block, 64, 4);  // half of 2
    else set_scale(type, 1, block);
  }
  std::vector<float> values(size_t{blocks} * elements);
  HOTSET_CHECK(dequantize(stored, bytes, values).ok());
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

std::array<double, 64> measure_spreads() {
  std::array<double, 64> spreads = {};
  for (const BlockFormat& format : block_formats()) {
    if (format.positive_mean == 0) spreads[static_cast<uint32_t>(format.type)] = measure_spread(format.type);
  }
  return spreads;
}

}  // namespace

void scale_rare_blocks(BlockType type, double deviation, Random& random, std::span<std::byte> blocks) {
  static const std::array<double, 64> kSpreads = measure_spreads();
  const double scale = deviation / kSpreads[static_cast<uint32_t>(type)];
  const uint32_t size = block_format(type).size_bytes;
  for (size_t at = 0; at < blocks.size(); at += size) {
    centre(type, blocks.data() + at);
    if (type == BlockType::kNVFP4) draw_e4m3(scale, random, blocks.data() + at);
    else set_scale(type, scale, blocks.data() + at);
  }
}

}  // namespace hotset::test
