// The types of blocks of 256 but Q4_K, Q5_K and Q6_K expanded with AVX2: see rare_avx2.h.
#pragma once

#include "runtime/compute/cpu/avx2.h"
#include "runtime/compute/cpu/rare_small_avx2.h"
#include "runtime/compute/cpu/tile.h"
#include "runtime/format/codebooks.h"

namespace hotset::cpu {
namespace {

// Weights are d * scale * quant - dmin * min; dmin is d where kMins is kSameScale.
struct SuperWeights {
  __m256i quants[8];  // in the order of SuperActivation::values; bytes without a sign, or with one where kSigned is set
  __m256i scales;     // 16 bits, of 16 weights each
  __m256i mins;
  float d;
  float dmin;
};

enum class Mins { kNone, kSameScale, kOwnScale };

struct SuperTraits {
  static constexpr bool kSigned = false;
  static constexpr Mins kMins = Mins::kNone;
};

__m256i& group_of(SuperWeights& w, uint32_t group) { return w.quants[SuperActivation::kPlaceOfGroup[group]]; }

// Eight 16-bit numbers, each twice.
__m256i each_twice(__m128i eight) { return two_lanes(_mm_unpacklo_epi16(eight, eight), _mm_unpackhi_epi16(eight, eight)); }

// 2 s + 1 for 16-bit s.
__m256i odd_scales(__m256i s) { return _mm256_add_epi16(_mm256_add_epi16(s, s), _mm256_set1_epi16(1)); }

// The nibbles of the low bytes, one after another, as bytes.
__m128i nibble_bytes(__m128i bytes) {
  const __m128i kNibble = _mm_set1_epi8(15);
  return _mm_unpacklo_epi8(_mm_and_si128(bytes, kNibble), _mm_and_si128(_mm_srli_epi16(bytes, 4), kNibble));
}

__m128i bytes8(uint64_t bits) { return _mm_cvtsi64_si128(static_cast<long long>(bits)); }

// Each half of 128 weights: 32 bytes whose bit pair k is group k.
void put_pairs(const uint8_t* bytes, SuperWeights& w) {
  const __m256i kPair = _mm256_set1_epi8(3);
  HOTSET_UNROLL
  for (uint32_t h = 0; h < 2; ++h) {
    const __m256i pairs = load32(bytes + 32 * h);
    group_of(w, 4 * h) = _mm256_and_si256(pairs, kPair);
    group_of(w, 4 * h + 1) = _mm256_and_si256(_mm256_srli_epi16(pairs, 2), kPair);
    group_of(w, 4 * h + 2) = _mm256_and_si256(_mm256_srli_epi16(pairs, 4), kPair);
    group_of(w, 4 * h + 3) = _mm256_and_si256(_mm256_srli_epi16(pairs, 6), kPair);
  }
}

struct Q2_K : SuperTraits {
  static constexpr uint32_t kBytes = 84;
  static constexpr Mins kMins = Mins::kOwnScale;
  static void load(const uint8_t* block, SuperWeights& w) {
    put_pairs(block + 16, w);
    const __m256i both = _mm256_cvtepu8_epi16(load16(block));
    w.scales = _mm256_and_si256(both, _mm256_set1_epi16(15));
    w.mins = _mm256_srli_epi16(both, 4);
    w.d = half(block + 80);
    w.dmin = half(block + 82);
  }
};

struct Q3_K : SuperTraits {
  static constexpr uint32_t kBytes = 110;
  static constexpr Mins kMins = Mins::kSameScale;
  static __m128i scale_bytes(const uint8_t* packed) {
    const uint32_t a = bits32(packed), b = bits32(packed + 4), high = bits32(packed + 8);
    const uint32_t kNibbles = 0x0f0f0f0f, kPairs = 0x30303030;
    return _mm_setr_epi32(static_cast<int>((a & kNibbles) | (high << 4 & kPairs)), static_cast<int>((b & kNibbles) | (high << 2 & kPairs)),
                          static_cast<int>((a >> 4 & kNibbles) | (high & kPairs)), static_cast<int>((b >> 4 & kNibbles) | (high >> 2 & kPairs)));
  }
  static void load(const uint8_t* block, SuperWeights& w) {
    put_pairs(block + 32, w);
    const __m256i kThird = _mm256_set1_epi8(4);
    const __m256i thirds = load32(block);
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 8; ++g) {
      const int turn = static_cast<int>(g) - 2;
      const __m256i bits = turn < 0 ? _mm256_slli_epi16(thirds, -turn) : _mm256_srli_epi16(thirds, turn);
      group_of(w, g) = _mm256_or_si256(group_of(w, g), _mm256_and_si256(bits, kThird));
    }
    w.scales = _mm256_sub_epi16(_mm256_cvtepu8_epi16(scale_bytes(block + 96)), _mm256_set1_epi16(32));
    w.mins = _mm256_slli_epi16(w.scales, 2);
    w.d = half(block + 108);
  }
};

struct TQ2_0 : SuperTraits {
  static constexpr uint32_t kBytes = 66;
  static constexpr Mins kMins = Mins::kSameScale;
  static void load(const uint8_t* block, SuperWeights& w) {
    put_pairs(block, w);
    w.scales = w.mins = _mm256_set1_epi16(1);
    w.d = half(block + 64);
  }
};

struct TQ1_0 : SuperTraits {
  static constexpr uint32_t kBytes = 54;
  static constexpr Mins kMins = Mins::kSameScale;
  // The first digit of fractions to base 3: 0, 1 from 86 / 256 on, 2 from 171 / 256 on.
  static __m256i digits(__m256i fractions) {
    const __m256i first = _mm256_cmpeq_epi8(_mm256_max_epu8(fractions, _mm256_set1_epi8(86)), fractions);
    const __m256i second = _mm256_cmpeq_epi8(_mm256_max_epu8(fractions, _mm256_set1_epi8(static_cast<char>(171))), fractions);
    return _mm256_sub_epi8(_mm256_sub_epi8(_mm256_setzero_si256(), first), second);
  }
  static __m256i thrice(__m256i v) { return _mm256_add_epi8(_mm256_add_epi8(v, v), v); }
  static __m128i thrice(__m128i v) { return _mm_add_epi8(_mm_add_epi8(v, v), v); }
  static void load(const uint8_t* block, SuperWeights& w) {
    __m256i many = load32(block);
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 5; ++g, many = thrice(many)) group_of(w, g) = digits(many);
    __m128i parts[5] = {load16(block + 32)};
    HOTSET_UNROLL
    for (uint32_t i = 1; i < 5; ++i) parts[i] = thrice(parts[i - 1]);
    const __m128i last = _mm_set1_epi32(static_cast<int>(bits32(block + 48))), last3 = thrice(last), last9 = thrice(last3), last27 = thrice(last9);
    const __m128i tail = _mm_blend_epi32(_mm_blend_epi32(last, last3, 2), _mm_blend_epi32(last9, last27, 8), 12);
    group_of(w, 5) = digits(two_lanes(parts[0], parts[1]));
    group_of(w, 6) = digits(two_lanes(parts[2], parts[3]));
    group_of(w, 7) = digits(two_lanes(parts[4], tail));
    w.scales = w.mins = _mm256_set1_epi16(1);
    w.d = half(block + 52);
  }
};

struct IQ4_XS : SuperTraits {
  static constexpr uint32_t kBytes = 136;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SuperWeights& w) {
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 8; ++g) {
      const __m128i pairs = load16(block + 8 + 16 * g);
      group_of(w, g) = iq4_numbers(nibbles(two_lanes(pairs, _mm_srli_epi16(pairs, 4))));
    }
    // Two bits of each of eight scales: moved to the top of 16 bits by a product, then down.
    const __m128i kMove = _mm_setr_epi16(1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 1 << 2, 1);
    const __m128i highs = _mm_srli_epi16(_mm_mullo_epi16(_mm_set1_epi16(static_cast<short>(bits16(block + 2))), kMove), 14);
    const __m128i lows = _mm_cvtepu8_epi16(nibble_bytes(_mm_cvtsi32_si128(static_cast<int>(bits32(block + 4)))));
    w.scales = each_twice(_mm_sub_epi16(_mm_or_si128(lows, _mm_slli_epi16(highs, 4)), _mm_set1_epi16(32)));
    w.d = half(block);
  }
};

// Magnitudes with the signs of 32 bits.
__m256i with_signs(__m256i magnitudes, uint32_t signs) {
  const __m256i kByte = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
  const __m256i kBit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  const __m256i bits = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(signs)), kByte);
  const __m256i negative = _mm256_cmpeq_epi8(_mm256_and_si256(bits, kBit), kBit);
  return _mm256_sub_epi8(_mm256_xor_si256(magnitudes, negative), negative);
}

// 32 signs of each of eight groups.
struct Signs {
  alignas(32) uint32_t of[8];
};

// From bytes of 7 bits: the eighth makes the number of signs even.
Signs even_signs(__m256i sevens) {
  const __m256i kOdd = both_halves(_mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0));
  const __m256i odd = _mm256_xor_si256(_mm256_shuffle_epi8(kOdd, nibbles(sevens)), _mm256_shuffle_epi8(kOdd, high_nibbles(sevens)));
  Signs signs;
  _mm256_store_si256(reinterpret_cast<__m256i*>(signs.of), _mm256_or_si256(sevens, odd));
  return signs;
}

// From four times 7 bits in each of eight words.
Signs packed_signs(__m256i words) {
  const auto field = [&](int up, int mask) { return _mm256_and_si256(_mm256_slli_epi32(words, up), _mm256_set1_epi32(mask)); };
  return even_signs(_mm256_or_si256(_mm256_or_si256(field(0, 0x7f), field(1, 0x7f00)), _mm256_or_si256(field(2, 0x7f0000), field(3, 0x7f000000))));
}

// The scales in the top four bits of eight words.
__m256i packed_scales(__m256i words) {
  const __m256i fours = _mm256_srli_epi32(words, 28);
  return odd_scales(_mm256_or_si256(fours, _mm256_slli_epi32(fours, 16)));
}

__m256i four_entries(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  return _mm256_setr_epi64x(static_cast<long long>(a), static_cast<long long>(b), static_cast<long long>(c), static_cast<long long>(d));
}

struct IQ2_XXS : SuperTraits {
  static constexpr uint32_t kBytes = 66;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SuperWeights& w) {
    const __m256 low = _mm256_castsi256_ps(load32(block + 2)), high = _mm256_castsi256_ps(load32(block + 34));
    const __m256i rests = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd)), 0xd8);  // every second word
    const Signs signs = packed_signs(rests);
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 8; ++g) {
      const uint8_t* at = block + 2 + 8 * g;
      const __m256i entries = four_entries(kIq2XxsGrid[at[0]], kIq2XxsGrid[at[1]], kIq2XxsGrid[at[2]], kIq2XxsGrid[at[3]]);
      group_of(w, g) = with_signs(entries, signs.of[g]);
    }
    w.scales = packed_scales(rests);
    w.d = half(block) * 0.125f;
  }
};

struct IQ2_XS : SuperTraits {
  static constexpr uint32_t kBytes = 74;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SuperWeights& w) {
    const __m256i low = _mm256_srli_epi16(load32(block + 2), 9), high = _mm256_srli_epi16(load32(block + 34), 9);
    const Signs signs = even_signs(_mm256_permute4x64_epi64(_mm256_packus_epi16(low, high), 0xd8));
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 8; ++g) {
      const uint32_t ab = bits32(block + 2 + 8 * g), cd = bits32(block + 6 + 8 * g);
      const __m256i entries = four_entries(kIq2XsGrid[ab & 511], kIq2XsGrid[ab >> 16 & 511], kIq2XsGrid[cd & 511], kIq2XsGrid[cd >> 16 & 511]);
      group_of(w, g) = with_signs(entries, signs.of[g]);
    }
    w.scales = odd_scales(_mm256_cvtepu8_epi16(nibble_bytes(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(block + 66)))));
    w.d = half(block) * 0.125f;
  }
};

struct IQ2_S : SuperTraits {
  static constexpr uint32_t kBytes = 82;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SuperWeights& w) {
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 8; ++g) {
      const uint8_t* at = block + 2 + 4 * g;
      const uint32_t high = block[66 + g];
      const __m256i entries = four_entries(kIq2SGrid[at[0] | (high << 8 & 0x300)], kIq2SGrid[at[1] | (high << 6 & 0x300)],
                                           kIq2SGrid[at[2] | (high << 4 & 0x300)], kIq2SGrid[at[3] | (high << 2 & 0x300)]);
      group_of(w, g) = with_signs(entries, bits32(at + 32));
    }
    w.scales = odd_scales(_mm256_cvtepu8_epi16(nibble_bytes(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(block + 74)))));
    w.d = half(block) * 0.125f;
  }
};

// Eight entries of a book of IQ3; bit k of `ninths` goes over index k.
template <class Grid>
__m256i eight_entries(const Grid& grid, const uint8_t* at, uint32_t ninths) {
  const auto entry = [&](uint32_t k) { return static_cast<int>(grid[at[k] | (ninths >> k & 1) << 8]); };
  return _mm256_setr_epi32(entry(0), entry(1), entry(2), entry(3), entry(4), entry(5), entry(6), entry(7));
}

struct IQ3_XXS : SuperTraits {
  static constexpr uint32_t kBytes = 98;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SuperWeights& w) {
    const __m256i rests = load32(block + 66);
    const Signs signs = packed_signs(rests);
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 8; ++g) group_of(w, g) = with_signs(eight_entries(kIq3XxsGrid, block + 2 + 8 * g, 0), signs.of[g]);
    w.scales = packed_scales(rests);
    w.d = half(block) * 0.25f;
  }
};

struct IQ3_S : SuperTraits {
  static constexpr uint32_t kBytes = 110;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SuperWeights& w) {
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 8; ++g) {
      group_of(w, g) = with_signs(eight_entries(kIq3SGrid, block + 2 + 8 * g, block[66 + g]), bits32(block + 74 + 4 * g));
    }
    const __m128i scales = nibble_bytes(_mm_cvtsi32_si128(static_cast<int>(bits32(block + 106))));
    w.scales = odd_scales(each_twice(_mm_cvtepu8_epi16(scales)));
    w.d = half(block);
  }
};

// Numbers of IQ1 are 8 (number + 1) in the book, plus 2 unless they move down: 9 too large, in eighths.
uint64_t moved_up(bool down) { return down ? 0 : 0x0202020202020202ull; }

__m256i nine_times(__m256i v) { return _mm256_add_epi16(_mm256_slli_epi16(v, 3), v); }

struct IQ1_S : SuperTraits {
  static constexpr uint32_t kBytes = 50;
  static constexpr Mins kMins = Mins::kSameScale;
  static void load(const uint8_t* block, SuperWeights& w) {
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 8; ++g) {
      const uint8_t* at = block + 2 + 4 * g;
      const auto rest = static_cast<uint32_t>(bits16(block + 34 + 2 * g));
      const __m256i entries = four_entries(kIq1Grid[at[0] | (rest << 8 & 0x700)], kIq1Grid[at[1] | (rest << 5 & 0x700)],
                                           kIq1Grid[at[2] | (rest << 2 & 0x700)], kIq1Grid[at[3] | (rest >> 1 & 0x700)]);
      group_of(w, g) = _mm256_add_epi8(entries, _mm256_set1_epi64x(static_cast<long long>(moved_up((rest & 0x8000) != 0))));
    }
    const __m128i scales = _mm_and_si128(_mm_srli_epi16(load16(block + 34), 12), _mm_set1_epi16(7));
    w.scales = odd_scales(each_twice(scales));
    w.mins = nine_times(w.scales);
    w.d = half(block) * 0.125f;
  }
};

struct IQ1_M : SuperTraits {
  static constexpr uint32_t kBytes = 56;
  static constexpr Mins kMins = Mins::kSameScale;
  static void load(const uint8_t* block, SuperWeights& w) {
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 8; ++g) {
      const uint8_t* at = block + 4 * g;
      const auto rest = static_cast<uint32_t>(bits16(block + 32 + 2 * g));
      const __m256i entries = four_entries(kIq1Grid[at[0] | (rest << 8 & 0x700)], kIq1Grid[at[1] | (rest << 4 & 0x700)],
                                           kIq1Grid[at[2] | (rest & 0x700)], kIq1Grid[at[3] | (rest >> 4 & 0x700)]);
      const __m256i up = four_entries(moved_up((rest & 0x8) != 0), moved_up((rest & 0x80) != 0), moved_up((rest & 0x800) != 0),
                                      moved_up((rest & 0x8000) != 0));
      group_of(w, g) = _mm256_add_epi8(entries, up);
    }
    // Four times 16 bits: four scales of 3 bits and a quarter of d.
    uint64_t words;
    std::memcpy(&words, block + 48, sizeof words);
    const uint64_t d = (words >> 12 & 0xf) | (words >> 24 & 0xf0) | (words >> 36 & 0xf00) | (words >> 48 & 0xf000);
    const __m128i pairs = _mm_unpacklo_epi16(bytes8(words), bytes8(words));
    const __m256i fours = two_lanes(_mm_unpacklo_epi32(pairs, pairs), _mm_unpackhi_epi32(pairs, pairs));  // each word four times
    const __m256i kMove = _mm256_set1_epi64x(1ll << 13 | 1ll << (16 + 10) | 1ll << (32 + 7) | 1ll << (48 + 4));
    w.scales = odd_scales(_mm256_srli_epi16(_mm256_mullo_epi16(fours, kMove), 13));
    w.mins = nine_times(w.scales);
    w.d = _mm_cvtss_f32(_mm_cvtph_ps(bytes8(d))) * 0.125f;
  }
};

}  // namespace
}  // namespace hotset::cpu
