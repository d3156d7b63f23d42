// Small helpers that the files for AVX2 and those for AVX-512 share. Everything here has internal linkage: see activation.h.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace hotset::cpu {
namespace {

inline __m128i load16(const void* at) { return _mm_loadu_si128(static_cast<const __m128i*>(at)); }
inline __m256i load32(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
inline __m256i both_halves(__m128i v) { return _mm256_broadcastsi128_si256(v); }
inline __m256i two_lanes(__m128i low, __m128i high) { return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1); }

inline uint64_t bits16(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}

inline uint32_t bits32(const uint8_t* at) {
  uint32_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}

inline float half(const uint8_t* at) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(bits16(at))))); }

// The halves at the start of four blocks. Put together in general registers: vector ports are what is scarce.
inline __m128 four_halves(const uint8_t* block, uint32_t apart) {
  const uint64_t bits = bits16(block) | bits16(block + apart) << 16 | bits16(block + 2 * apart) << 32 | bits16(block + 3 * apart) << 48;
  return _mm_cvtph_ps(_mm_cvtsi64_si128(static_cast<long long>(bits)));
}

inline __m256i nibbles(__m256i pairs) { return _mm256_and_si256(pairs, _mm256_set1_epi8(15)); }
inline __m256i high_nibbles(__m256i pairs) { return nibbles(_mm256_srli_epi16(pairs, 4)); }

}  // namespace
}  // namespace hotset::cpu
