// The numbers of MXFP4 and NVFP4 blocks: 4-bit floats (E2M1: sign, 2 bits of exponent, 1 of fraction) under a shared power of two
// (E8M0), or under an 8-bit float without a sign (E4M3).
// Values are kept doubled, which makes them whole, and the scale halved. Any thread.
#pragma once

#include <bit>
#include <cstdint>

namespace hotset {

// Twice the number that a nibble stands for.
inline constexpr int8_t kMxfp4Doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Half of 2^(bits - 127). The two least are subnormal floats; 255, which the format calls NaN, goes on as a power, as in ggml.
constexpr float mxfp4_half_scale(uint8_t bits) {
  return std::bit_cast<float>(bits < 2 ? 0x00200000u << bits : static_cast<uint32_t>(bits - 1) << 23);
}

// Half of the E4M3 number in the low seven bits. All ones, the format's NaN, is 0, as in ggml.
constexpr float nvfp4_half_scale(uint8_t bits) {
  const uint32_t magnitude = bits & 127u;
  if (magnitude == 127) return 0;
  if (magnitude < 8) return static_cast<float>(magnitude) * 0x1p-10f;
  return std::bit_cast<float>((magnitude << 20) + (119u << 23));
}

}  // namespace hotset
