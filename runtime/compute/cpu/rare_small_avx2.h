// Q4_1, Q5_0, Q5_1, IQ4_NL, NVFP4, Q1_0 and Q2_0 expanded with AVX2, four blocks of 32 at a time: see rare_avx2.h.
#pragma once

#include "runtime/compute/cpu/avx2.h"
#include "runtime/compute/cpu/tile.h"
#include "runtime/format/codebooks.h"
#include "runtime/format/mxfp4.h"

namespace hotset::cpu {
namespace {

// Two blocks a register, each in a 128-bit lane. Weights are scale * quant - min; quants are `1 << kOffsetBits` too large where
// kOffset is set, or bytes with a sign where kSigned is.
struct SmallWeights {
  __m256i first[2];   // of 16 weights each
  __m256i second[2];  // the 16 after them
  __m128 first_scales;
  __m128 second_scales;  // where kTwoScales
  __m128 mins;           // where kMins
};

struct SmallTraits {
  static constexpr uint32_t kTogether = 1;  // groups of 32 in a block
  static constexpr bool kSigned = false;
  static constexpr bool kOffset = false;
  static constexpr int kOffsetBits = 0;
  static constexpr bool kTwoScales = false;
  static constexpr bool kMins = false;
};

__m256i two_at(const uint8_t* at, uint32_t apart) { return two_lanes(load16(at), load16(at + apart)); }

void put_nibbles(const uint8_t* pairs, uint32_t apart, SmallWeights& w) {
  HOTSET_UNROLL
  for (uint32_t i = 0; i < 2; ++i) {
    const __m256i both = two_at(pairs + 2 * i * apart, apart);
    w.first[i] = nibbles(both);
    w.second[i] = high_nibbles(both);
  }
}

// The low 16 bits of each of two numbers as bytes 0 and -1, lane by lane.
__m256i bit_masks(uint32_t low, uint32_t high) {
  const __m256i kByte = both_halves(_mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
  const __m256i kBit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  const __m256i bits = two_lanes(_mm_cvtsi32_si128(static_cast<int>(low)), _mm_cvtsi32_si128(static_cast<int>(high)));
  return _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(bits, kByte), kBit), kBit);
}

// 32 bits of each block as a bit of its bytes.
void add_bits(const uint8_t* bits, uint32_t apart, int bit, SmallWeights& w) {
  const __m256i kBit = _mm256_set1_epi8(static_cast<char>(bit));
  HOTSET_UNROLL
  for (uint32_t i = 0; i < 2; ++i) {
    const uint32_t low = bits32(bits + 2 * i * apart), high = bits32(bits + (2 * i + 1) * apart);
    w.first[i] = _mm256_or_si256(w.first[i], _mm256_and_si256(bit_masks(low, high), kBit));
    w.second[i] = _mm256_or_si256(w.second[i], _mm256_and_si256(bit_masks(low >> 16, high >> 16), kBit));
  }
}

__m128 negated(__m128 v) { return _mm_xor_ps(v, _mm_set1_ps(-0.0f)); }

struct Q4_1 : SmallTraits {
  static constexpr uint32_t kBytes = 20;
  static constexpr bool kMins = true;
  static void load(const uint8_t* block, SmallWeights& w) {
    put_nibbles(block + 4, kBytes, w);
    w.first_scales = four_halves(block, kBytes);
    w.mins = negated(four_halves(block + 2, kBytes));
  }
};

struct Q5_0 : SmallTraits {
  static constexpr uint32_t kBytes = 22;
  static constexpr bool kOffset = true;
  static constexpr int kOffsetBits = 4;
  static void load(const uint8_t* block, SmallWeights& w) {
    put_nibbles(block + 6, kBytes, w);
    add_bits(block + 2, kBytes, 16, w);
    w.first_scales = four_halves(block, kBytes);
  }
};

struct Q5_1 : SmallTraits {
  static constexpr uint32_t kBytes = 24;
  static constexpr bool kMins = true;
  static void load(const uint8_t* block, SmallWeights& w) {
    put_nibbles(block + 8, kBytes, w);
    add_bits(block + 4, kBytes, 16, w);
    w.first_scales = four_halves(block, kBytes);
    w.mins = negated(four_halves(block + 2, kBytes));
  }
};

__m256i iq4_numbers(__m256i indices) { return _mm256_shuffle_epi8(both_halves(load16(kIq4Values)), indices); }

struct IQ4_NL : SmallTraits {
  static constexpr uint32_t kBytes = 18;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SmallWeights& w) {
    put_nibbles(block + 2, kBytes, w);
    HOTSET_UNROLL
    for (uint32_t i = 0; i < 2; ++i) w.first[i] = iq4_numbers(w.first[i]), w.second[i] = iq4_numbers(w.second[i]);
    w.first_scales = four_halves(block, kBytes);
  }
};

struct E4m3Table {
  float of[256];
};

constexpr E4m3Table make_e4m3_table() {
  E4m3Table table = {};
  for (uint32_t bits = 0; bits < 256; ++bits) table.of[bits] = nvfp4_half_scale(static_cast<uint8_t>(bits));
  return table;
}

constexpr E4m3Table kE4m3Table = make_e4m3_table();

struct NVFP4 : SmallTraits {
  static constexpr uint32_t kBytes = 36;
  static constexpr uint32_t kTogether = 2;
  static constexpr bool kSigned = true;
  static constexpr bool kTwoScales = true;
  static void load(const uint8_t* block, SmallWeights& w) {
    const __m256i kNumbers = both_halves(load16(kMxfp4Doubled));
    HOTSET_UNROLL
    for (uint32_t i = 0; i < 2; ++i) {
      const __m256i pairs = load32(block + kBytes * i + 4);
      const __m256i low = _mm256_shuffle_epi8(kNumbers, nibbles(pairs)), high = _mm256_shuffle_epi8(kNumbers, high_nibbles(pairs));
      w.first[i] = _mm256_unpacklo_epi64(low, high);
      w.second[i] = _mm256_unpackhi_epi64(low, high);
    }
    const uint8_t* next = block + kBytes;
    w.first_scales = _mm_setr_ps(kE4m3Table.of[block[0]], kE4m3Table.of[block[2]], kE4m3Table.of[next[0]], kE4m3Table.of[next[2]]);
    w.second_scales = _mm_setr_ps(kE4m3Table.of[block[1]], kE4m3Table.of[block[3]], kE4m3Table.of[next[1]], kE4m3Table.of[next[3]]);
  }
};

struct Q1_0 : SmallTraits {
  static constexpr uint32_t kBytes = 18;
  static constexpr uint32_t kTogether = 4;
  static constexpr bool kOffset = true;
  static void load(const uint8_t* block, SmallWeights& w) {
    HOTSET_UNROLL
    for (uint32_t i = 0; i < 2; ++i) w.first[i] = w.second[i] = _mm256_setzero_si256();
    add_bits(block + 2, 4, 2, w);
    w.first_scales = _mm_set1_ps(half(block));
  }
};

// The bit pairs of four bytes of each of two blocks, one after another.
__m256i bit_pairs(const uint8_t* low, const uint8_t* high) {
  const __m256i kByte = both_halves(_mm_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
  const __m256i words = two_lanes(_mm_cvtsi32_si128(static_cast<int>(bits32(low))), _mm_cvtsi32_si128(static_cast<int>(bits32(high))));
  const __m256i bytes = _mm256_shuffle_epi8(words, kByte);
  const __m256i lower = _mm256_or_si256(_mm256_and_si256(bytes, _mm256_set1_epi32(0x00000003)),
                                        _mm256_and_si256(_mm256_srli_epi16(bytes, 2), _mm256_set1_epi32(0x00000300)));
  const __m256i upper = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi32(0x00030000)),
                                        _mm256_and_si256(_mm256_srli_epi16(bytes, 6), _mm256_set1_epi32(0x03000000)));
  return _mm256_or_si256(lower, upper);
}

struct Q2_0 : SmallTraits {
  static constexpr uint32_t kBytes = 18;
  static constexpr uint32_t kTogether = 2;
  static constexpr bool kOffset = true;
  static void load(const uint8_t* block, SmallWeights& w) {
    HOTSET_UNROLL
    for (uint32_t i = 0; i < 2; ++i) {
      const uint8_t* quants = block + kBytes * i + 2;
      w.first[i] = bit_pairs(quants, quants + 8);
      w.second[i] = bit_pairs(quants + 4, quants + 12);
    }
    const float low = half(block), high = half(block + kBytes);
    w.first_scales = _mm_setr_ps(low, low, high, high);
  }
};

}  // namespace
}  // namespace hotset::cpu
