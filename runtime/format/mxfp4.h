// The numbers of MXFP4 blocks: 4-bit floats (E2M1: sign, 2 bits of exponent, 1 of fraction) under a shared power of two (E8M0).
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

}  // namespace hotset
