// The block types of whole_blocks.h expanded with AVX2: what dot_avx2_rare.cc and dot_avx512_rare.cc multiply. Layouts:
// runtime/format/quant.h and whole_blocks.cc. Everything here has internal linkage: see activation.h.
#pragma once

#include "runtime/compute/cpu/avx2.h"
#include "runtime/compute/cpu/tile.h"
#include "runtime/format/codebooks.h"
#include "runtime/format/mxfp4.h"

namespace hotset::cpu {
namespace {

// ---- four blocks of 32

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
    for (uint32_t i = 0; i < 2; ++i) {
      const uint8_t* quants = block + kBytes * i + 2;
      w.first[i] = bit_pairs(quants, quants + 8);
      w.second[i] = bit_pairs(quants + 4, quants + 12);
    }
    const float low = half(block), high = half(block + kBytes);
    w.first_scales = _mm_setr_ps(low, low, high, high);
  }
};

// ---- blocks of 256

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
    for (uint32_t g = 0; g < 5; ++g, many = thrice(many)) group_of(w, g) = digits(many);
    __m128i parts[5] = {load16(block + 32)};
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

// The 32 signs that four times 7 bits stand for.
uint32_t even_signs(uint32_t bits) {
  return kEvenSigns[bits & 127] | static_cast<uint32_t>(kEvenSigns[bits >> 7 & 127]) << 8 | static_cast<uint32_t>(kEvenSigns[bits >> 14 & 127]) << 16 |
         static_cast<uint32_t>(kEvenSigns[bits >> 21 & 127]) << 24;
}

__m256i four_entries(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  return _mm256_setr_epi64x(static_cast<long long>(a), static_cast<long long>(b), static_cast<long long>(c), static_cast<long long>(d));
}

struct IQ2_XXS : SuperTraits {
  static constexpr uint32_t kBytes = 66;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SuperWeights& w) {
    uint64_t scales = 0;
    for (uint32_t g = 0; g < 8; ++g) {
      const uint8_t* at = block + 2 + 8 * g;
      const uint32_t rest = bits32(at + 4);
      scales |= uint64_t{rest >> 28} << (8 * g);
      const __m256i entries = four_entries(kIq2XxsGrid[at[0]], kIq2XxsGrid[at[1]], kIq2XxsGrid[at[2]], kIq2XxsGrid[at[3]]);
      group_of(w, g) = with_signs(entries, even_signs(rest));
    }
    w.scales = odd_scales(each_twice(_mm_cvtepu8_epi16(bytes8(scales))));
    w.d = half(block) * 0.125f;
  }
};

struct IQ2_XS : SuperTraits {
  static constexpr uint32_t kBytes = 74;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SuperWeights& w) {
    for (uint32_t g = 0; g < 8; ++g) {
      const uint32_t ab = bits32(block + 2 + 8 * g), cd = bits32(block + 6 + 8 * g);
      const __m256i entries = four_entries(kIq2XsGrid[ab & 511], kIq2XsGrid[ab >> 16 & 511], kIq2XsGrid[cd & 511], kIq2XsGrid[cd >> 16 & 511]);
      group_of(w, g) = with_signs(entries, even_signs((ab >> 9 & 127) | (ab >> 25) << 7 | (cd >> 9 & 127) << 14 | (cd >> 25) << 21));
    }
    w.scales = odd_scales(_mm256_cvtepu8_epi16(nibble_bytes(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(block + 66)))));
    w.d = half(block) * 0.125f;
  }
};

struct IQ2_S : SuperTraits {
  static constexpr uint32_t kBytes = 82;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SuperWeights& w) {
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
    uint64_t scales = 0;
    for (uint32_t g = 0; g < 8; ++g) {
      const uint32_t rest = bits32(block + 66 + 4 * g);
      scales |= uint64_t{rest >> 28} << (8 * g);
      group_of(w, g) = with_signs(eight_entries(kIq3XxsGrid, block + 2 + 8 * g, 0), even_signs(rest));
    }
    w.scales = odd_scales(each_twice(_mm_cvtepu8_epi16(bytes8(scales))));
    w.d = half(block) * 0.25f;
  }
};

struct IQ3_S : SuperTraits {
  static constexpr uint32_t kBytes = 110;
  static constexpr bool kSigned = true;
  static void load(const uint8_t* block, SuperWeights& w) {
    for (uint32_t g = 0; g < 8; ++g) {
      group_of(w, g) = with_signs(eight_entries(kIq3SGrid, block + 2 + 8 * g, block[66 + g]), bits32(block + 74 + 4 * g));
    }
    const __m128i scales = nibble_bytes(_mm_cvtsi32_si128(static_cast<int>(bits32(block + 106))));
    w.scales = odd_scales(each_twice(_mm_cvtepu8_epi16(scales)));
    w.d = half(block);
  }
};

// Eight numbers of IQ1 as 8 (number + 1), plus 2 unless they move down: 9 too large, in eighths.
uint64_t iq1_entry(uint32_t index, bool down) { return kIq1Grid[index] + (down ? 0 : 0x0202020202020202ull); }

__m256i nine_times(__m256i v) { return _mm256_add_epi16(_mm256_slli_epi16(v, 3), v); }

struct IQ1_S : SuperTraits {
  static constexpr uint32_t kBytes = 50;
  static constexpr Mins kMins = Mins::kSameScale;
  static void load(const uint8_t* block, SuperWeights& w) {
    for (uint32_t g = 0; g < 8; ++g) {
      const uint8_t* at = block + 2 + 4 * g;
      const auto rest = static_cast<uint32_t>(bits16(block + 34 + 2 * g));
      const bool down = (rest & 0x8000) != 0;
      const auto entry = [&](uint32_t l) { return iq1_entry(at[l] | (rest >> (3 * l) & 7) << 8, down); };
      group_of(w, g) = four_entries(entry(0), entry(1), entry(2), entry(3));
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
    for (uint32_t g = 0; g < 8; ++g) {
      const uint8_t* at = block + 4 * g;
      const auto rest = static_cast<uint32_t>(bits16(block + 32 + 2 * g));
      const auto entry = [&](uint32_t l) { return iq1_entry(at[l] | (rest >> (4 * l) & 7) << 8, (rest >> (4 * l) & 8) != 0); };
      group_of(w, g) = four_entries(entry(0), entry(1), entry(2), entry(3));
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

// Calls `run` with the type's struct.
template <class Run>
void with_rare_type(BlockType type, Run run) {
  switch (type) {
    case BlockType::kQ4_1: return run.template small<Q4_1>();
    case BlockType::kQ5_0: return run.template small<Q5_0>();
    case BlockType::kQ5_1: return run.template small<Q5_1>();
    case BlockType::kIQ4_NL: return run.template small<IQ4_NL>();
    case BlockType::kNVFP4: return run.template small<NVFP4>();
    case BlockType::kQ1_0: return run.template small<Q1_0>();
    case BlockType::kQ2_0: return run.template small<Q2_0>();
    case BlockType::kQ2_K: return run.template super<Q2_K>();
    case BlockType::kQ3_K: return run.template super<Q3_K>();
    case BlockType::kIQ1_S: return run.template super<IQ1_S>();
    case BlockType::kIQ1_M: return run.template super<IQ1_M>();
    case BlockType::kIQ2_XXS: return run.template super<IQ2_XXS>();
    case BlockType::kIQ2_XS: return run.template super<IQ2_XS>();
    case BlockType::kIQ2_S: return run.template super<IQ2_S>();
    case BlockType::kIQ3_XXS: return run.template super<IQ3_XXS>();
    case BlockType::kIQ3_S: return run.template super<IQ3_S>();
    case BlockType::kIQ4_XS: return run.template super<IQ4_XS>();
    case BlockType::kTQ1_0: return run.template super<TQ1_0>();
    case BlockType::kTQ2_0: return run.template super<TQ2_0>();
    default: return;
  }
}

}  // namespace
}  // namespace hotset::cpu
