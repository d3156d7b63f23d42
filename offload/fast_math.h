// Logarithm, power and logistic function to a few parts in 100,000, without branches, so that a compiler can vectorise loops of them.
// For estimates; pure functions.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace hotset {

// log2 of a normal positive number, to 2e-5: exponent, and a polynomial through the Chebyshev nodes of log2(1 + x) on [0, 1].
inline float fast_log2(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const float exponent = static_cast<float>(static_cast<int32_t>(bits >> 23) - 127);
  const float x = std::bit_cast<float>((bits & 0x007fffffu) | 0x3f800000u) - 1.0f;
  const float p = 0.0430049578f * x - 0.187488605f;
  return exponent + (1.65146709e-5f + x * (1.44149241f + x * (-0.706486449f + x * (0.409470299f + x * p))));
}

// 2^value to 3 parts in a million, of values held to [-60, 60].
inline float fast_exp2(float value) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const float held = std::min(std::max(value, -60.0f), 60.0f);
  const float rounded = held + kRound;
  const int32_t whole = std::bit_cast<int32_t>(rounded) - std::bit_cast<int32_t>(kRound);
  const float x = held - (rounded - kRound);
  const float p = 1.0f + x * (0.693121045f + x * (0.24022349f + x * (0.0559219758f + x * 0.00966636852f)));
  return std::bit_cast<float>(std::bit_cast<int32_t>(p) + (whole << 23));
}

inline float fast_logistic(float value) { return 1.0f / (1.0f + fast_exp2(-1.44269504f * value)); }

}  // namespace hotset
