#include "tests/tools/random_blocks.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "platform/check.h"
#include "tests/tools/random_rare_blocks.h"

namespace hotset::test {
namespace {

// Standard deviation of n equally likely neighbouring integers: sqrt((n^2 - 1) / 12).
constexpr double kDeviation16 = 4.6098;    // 4 bits
constexpr double kDeviation32 = 9.2331;    // 5 bits
constexpr double kDeviation64 = 18.4730;   // 6 bits
constexpr double kDeviation256 = 73.9003;  // 8 bits
constexpr double kSqrt3 = 1.7320508;       // half the width of a uniform distribution of deviation 1

// Scales of K-quant sub-blocks: 32..63 (6 bits) and +-64..127 (8 bits): root mean squares, means of magnitudes.
constexpr double kScale6Rms = 48.38, kScale6Mean = 47.5;
constexpr double kScale8Rms = 97.27, kScale8Mean = 95.5;

// The 4-bit floats of MXFP4, doubled and each sign alike: root mean square, mean of magnitudes.
constexpr double kE2m1Rms = 5.8523, kE2m1Mean = 4.5;
// Powers of two that are mixed so that their mean square is right have a smaller mean; its middle over all mixes.
constexpr double kPowerMean = 0.965;

constexpr std::array<BlockFormat, 28> kFormats = {{
    {BlockType::kF32, "F32", 1, 4, 0, kSqrt3 / 2},
    {BlockType::kF16, "F16", 1, 2, 1, kSqrt3 / 2},
    {BlockType::kBf16, "BF16", 1, 2, 32, kSqrt3 / 2},
    {BlockType::kQ8_0, "Q8_0", 32, 34, 7, 63.5 / kDeviation256},
    {BlockType::kQ4_0, "Q4_0", 32, 18, 2, 3.5 / kDeviation16},
    {BlockType::kQ4_K, "Q4_K", 256, 144, 15, 7.5 * kScale6Mean / (kDeviation16 * kScale6Rms)},
    {BlockType::kQ5_K, "Q5_K", 256, 176, 17, 15.5 * kScale6Mean / (kDeviation32 * kScale6Rms)},
    {BlockType::kQ6_K, "Q6_K", 256, 210, 18, 15.5 * kScale8Mean / (kDeviation64 * kScale8Rms)},
    {BlockType::kMXFP4, "MXFP4", 32, 17, 38, kPowerMean * kE2m1Mean / kE2m1Rms},
    {BlockType::kQ4_1, "Q4_1", 32, 20, 3, 0},
    {BlockType::kQ5_0, "Q5_0", 32, 22, 8, 0},
    {BlockType::kQ5_1, "Q5_1", 32, 24, 9, 0},
    {BlockType::kQ2_K, "Q2_K", 256, 84, 10, 0},
    {BlockType::kQ3_K, "Q3_K", 256, 110, 12, 0},
    {BlockType::kIQ1_S, "IQ1_S", 256, 50, 24, 0},
    {BlockType::kIQ1_M, "IQ1_M", 256, 56, 31, 0},
    {BlockType::kIQ2_XXS, "IQ2_XXS", 256, 66, 19, 0},
    {BlockType::kIQ2_XS, "IQ2_XS", 256, 74, 20, 0},
    {BlockType::kIQ2_S, "IQ2_S", 256, 82, 28, 0},
    {BlockType::kIQ3_XXS, "IQ3_XXS", 256, 98, 23, 0},
    {BlockType::kIQ3_S, "IQ3_S", 256, 110, 26, 0},
    {BlockType::kIQ4_NL, "IQ4_NL", 32, 18, 25, 0},
    {BlockType::kIQ4_XS, "IQ4_XS", 256, 136, 30, 0},
    {BlockType::kNVFP4, "NVFP4", 64, 36, 39, 0},
    {BlockType::kQ1_0, "Q1_0", 128, 18, 40, 0},
    {BlockType::kQ2_0, "Q2_0", 64, 18, 41, 0},
    {BlockType::kTQ1_0, "TQ1_0", 256, 54, 36, 0},
    {BlockType::kTQ2_0, "TQ2_0", 256, 66, 37, 0},
}};

void put_half(std::byte* out, double value) {
  const uint16_t bits = half_bits(static_cast<float>(value));
  std::memcpy(out, &bits, sizeof bits);
}

void fill_random(Random& random, std::span<std::byte> out) {
  size_t at = 0;
  for (; at + 8 <= out.size(); at += 8) {
    const uint64_t bits = random.next();
    std::memcpy(out.data() + at, &bits, 8);
  }
  const uint64_t bits = random.next();
  std::memcpy(out.data() + at, &bits, out.size() - at);
}

// The 8 scales and 8 minima of Q4_K and Q5_K, 6 bits each in 12 bytes: bytes 0..3 hold the low scales, 4..7 the low
// minima, 8..11 the low nibbles of the high ones, whose upper two bits sit on top of bytes 0..7.
// Scales are 32..63; minima equal them but for the last bit, so that minimum = mid-range quant x scale centres values.
void put_scales6(std::byte* out, uint64_t bits) {
  uint8_t scale[8], minimum[8];
  for (int i = 0; i < 8; ++i) {
    scale[i] = static_cast<uint8_t>(32 + ((bits >> (8 * i)) & 31));
    minimum[i] = static_cast<uint8_t>(scale[i] ^ ((bits >> (8 * i + 5)) & 1));
  }
  for (int i = 0; i < 4; ++i) {
    out[i] = static_cast<std::byte>(scale[i] | ((scale[i + 4] >> 4) << 6));
    out[i + 4] = static_cast<std::byte>(minimum[i] | ((minimum[i + 4] >> 4) << 6));
    out[i + 8] = static_cast<std::byte>((scale[i + 4] & 15) | ((minimum[i + 4] & 15) << 4));
  }
}

// The scale byte of an MXFP4 block: one of the two powers of two around the wanted scale, drawn so that squares are right.
std::byte draw_power(double scale, Random& random) {
  const int power = std::ilogb(scale);
  const double share = (std::pow(std::ldexp(scale, -power), 2) - 1) / 3;  // of the larger
  const bool larger = random.next_signed() * 0.5 + 0.5 < share;
  return static_cast<std::byte>(power + larger + 128);  // the doubled numbers' scale is 2^(byte - 128)
}

// Overwrites the scale fields of blocks whose quants are random bits already.
void set_scales(BlockType type, double deviation, Random& random, std::byte* block) {
  switch (type) {
    case BlockType::kQ8_0:
      return put_half(block, deviation / kDeviation256);
    case BlockType::kQ4_0:
      return put_half(block, deviation / kDeviation16);
    case BlockType::kMXFP4:
      block[0] = draw_power(deviation / kE2m1Rms, random);
      return;
    case BlockType::kQ4_K:
    case BlockType::kQ5_K: {
      const bool four = type == BlockType::kQ4_K;
      const double scale = deviation / ((four ? kDeviation16 : kDeviation32) * kScale6Rms);
      put_half(block, scale);
      put_half(block + 2, scale * (four ? 7.5 : 15.5));
      return put_scales6(block + 4, random.next());
    }
    case BlockType::kQ6_K:
      for (int i = 192; i < 208; ++i) {  // int8 scales away from 0: bit 6 differs from the sign bit
        const auto bits = static_cast<uint8_t>(block[i]);
        block[i] = static_cast<std::byte>((bits & 0xbf) | (~(bits >> 1) & 0x40));
      }
      return put_half(block + 208, deviation / (kDeviation64 * kScale8Rms));
    default:
      return;
  }
}

void fill_floats(BlockType type, double deviation, Random& random, std::span<std::byte> out) {
  const size_t size = block_format(type).size_bytes;
  for (size_t at = 0; at < out.size(); at += size) {
    const auto value = static_cast<float>(random.next_signed() * kSqrt3 * deviation);
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint16_t narrow = type == BlockType::kF16 ? half_bits(value) : static_cast<uint16_t>(bits >> 16);
    if (size == 4) std::memcpy(out.data() + at, &bits, 4);
    else std::memcpy(out.data() + at, &narrow, 2);
  }
}

void clear_sign_bits(std::span<std::byte> row, size_t value_bytes) {
  for (size_t i = 0; i < kPositiveChannels; ++i) row[(i + 1) * value_bytes - 1] &= std::byte{0x7f};
}

}  // namespace

std::span<const BlockFormat> block_formats() { return kFormats; }

const BlockFormat& block_format(BlockType type) {
  for (const BlockFormat& format : kFormats) {
    if (format.type == type) return format;
  }
  HOTSET_CHECK(false);
}

std::optional<BlockType> parse_block_type(std::string_view name) {
  for (const BlockFormat& format : kFormats) {
    if (name == format.name) return format.type;
  }
  return std::nullopt;
}

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    word = z ^ (z >> 31);
  }
}

uint64_t Random::next() {
  const uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void fill_blocks(BlockType type, double deviation, Random& random, std::span<std::byte> out) {
  const BlockFormat& format = block_format(type);
  HOTSET_CHECK(out.size() % format.size_bytes == 0);
  if (format.values == 1) return fill_floats(type, deviation, random, out);
  fill_random(random, out);
  if (format.positive_mean == 0) return scale_rare_blocks(type, deviation, random, out);
  for (size_t at = 0; at < out.size(); at += format.size_bytes) set_scales(type, deviation, random, out.data() + at);
}

void make_channels_positive(BlockType type, std::span<std::byte> row) {
  switch (type) {
    case BlockType::kF32:
      return clear_sign_bits(row, 4);
    case BlockType::kF16:
    case BlockType::kBf16:
      return clear_sign_bits(row, 2);
    case BlockType::kQ8_0:
      return clear_sign_bits(row.subspan(2), 1);
    case BlockType::kQ4_0:  // both nibbles of each byte at 8 or above: quant - 8 is not negative
      for (size_t i = 2; i < 18; ++i) row[i] |= std::byte{0x88};
      return;
    case BlockType::kMXFP4:  // no signs
      for (size_t i = 1; i < 17; ++i) row[i] &= std::byte{0x77};
      return;
    case BlockType::kQ4_K:
    case BlockType::kQ5_K:  // minimum of sub-block 0 becomes 0
      row[8] &= std::byte{0xc0};
      return;
    case BlockType::kQ6_K:  // top bit of the first 32 quants set, scales of sub-blocks 0 and 1 positive
      for (size_t i = 128; i < 160; ++i) row[i] |= std::byte{2};
      for (size_t i = 192; i < 194; ++i) row[i] = (row[i] & std::byte{0x3f}) | std::byte{0x40};
      return;
    default:
      HOTSET_CHECK(false);
  }
}

uint16_t half_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const float magnitude = std::fabs(value);
  if (magnitude >= 65520.0f) return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude < 0x1p-14f) {  // subnormal: a multiple of 2^-24
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24f)));
  }
  const uint32_t rest = bits & 0x7fffffff;
  const uint32_t rounded = rest + 0xfff + ((rest >> 13) & 1);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - ((127 - 15) << 10)));
}

}  // namespace hotset::test
