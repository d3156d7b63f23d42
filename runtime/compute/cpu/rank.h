// Ranks: what floats are chosen by.
#pragma once

#include <bit>
#include <cstdint>

namespace hotset::cpu {

// Unsigned numbers in the order of the floats, NaN below all: the sign decides which half, and negative ones run backwards.
inline uint32_t rank_of(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0;
  if ((bits & 0x7fffffffu) == 0) return 0x80000000u;
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// What sorts by falling rank, the lower id first among equals.
inline uint64_t rank_key(uint32_t rank, uint32_t id) { return uint64_t{rank} << 32 | ~id; }

}  // namespace hotset::cpu
