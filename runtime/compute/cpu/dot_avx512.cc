// Kernels for AVX-512 F, BW, VL, DQ with VNNI.
//
// One row at a time: a row is one stream of memory, the out-of-order window reaches over several blocks, and activations come
// from the first-level cache as operands. VPDPBUSD multiplies unsigned weights with signed activations and sums four products;
// those sums fit 16 bits for weights of up to 6 bits, so VPDPWSSD can multiply them with their scale and sum on.
#include <immintrin.h>

#include <cstring>

#include "runtime/compute/cpu/kernel_sets.h"
#include "runtime/compute/cpu/tile.h"
#include "runtime/format/mxfp4.h"

namespace hotset::cpu {
namespace {

__m128i load16(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }
__m256i load32(const uint8_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }
__m512i load64(const void* at) { return _mm512_loadu_si512(at); }
__m512i both_halves(const uint8_t* at) { return _mm512_broadcast_i64x4(load32(at)); }

uint64_t bits16(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}

float half(const uint8_t* at) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(bits16(at))))); }

// (a & b) | c
__m512i and_or(__m512i a, __m512i b, __m512i c) { return _mm512_ternarylogic_epi64(a, b, c, 0xea); }

// ---- F32, F16, BF16: activations stay float32

struct F32 {
  static constexpr uint32_t kBytes = 4;
  static __m512 load(const uint8_t* at) { return _mm512_loadu_ps(at); }
  static __m512 load_first(const uint8_t* at, __mmask16 mask) { return _mm512_maskz_loadu_ps(mask, at); }
};

struct F16 {
  static constexpr uint32_t kBytes = 2;
  static __m512 load(const uint8_t* at) { return _mm512_cvtph_ps(load32(at)); }
  static __m512 load_first(const uint8_t* at, __mmask16 mask) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, at)); }
};

struct BF16 {
  static constexpr uint32_t kBytes = 2;
  static __m512 widen(__m256i bits) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16)); }
  static __m512 load(const uint8_t* at) { return widen(load32(at)); }
  static __m512 load_first(const uint8_t* at, __mmask16 mask) { return widen(_mm256_maskz_loadu_epi16(mask, at)); }
};

template <class Weight>
struct PlainDot {
  static constexpr uint32_t kTokens = 4;
  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m512 sums[T][4];
HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t][0] = sums[t][1] = sums[t][2] = sums[t][3] = _mm512_setzero_ps();
    const auto x = [&](uint32_t t, uint32_t i) { return reinterpret_cast<const float*>(activation + t * act_stride) + i; };
    uint32_t i = 0;
    for (; cols - i >= 64; i += 64) {
      prefetch<64 * Weight::kBytes>(row + uint64_t{i} * Weight::kBytes);
HOTSET_UNROLL
      for (uint32_t part = 0; part < 4; ++part) {
        const __m512 w = Weight::load(row + uint64_t{i + 16 * part} * Weight::kBytes);
HOTSET_UNROLL
        for (uint32_t t = 0; t < T; ++t) sums[t][part] = _mm512_fmadd_ps(w, _mm512_loadu_ps(x(t, i + 16 * part)), sums[t][part]);
      }
    }
    for (; i < cols; i += 16) {
      const __mmask16 mask = cols - i >= 16 ? __mmask16(0xffff) : static_cast<__mmask16>((1u << (cols - i)) - 1);
      const __m512 w = Weight::load_first(row + uint64_t{i} * Weight::kBytes, mask);
HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) sums[t][0] = _mm512_fmadd_ps(w, _mm512_maskz_loadu_ps(mask, x(t, i)), sums[t][0]);
    }
HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) {
      out[t * out_stride] = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[t][0], sums[t][1]), _mm512_add_ps(sums[t][2], sums[t][3])));
    }
  }
};

// ---- blocks of 32, four at a time: each has a 128-bit lane

// Quants as unsigned bytes, `1 << kOffsetBits` too large.
struct SmallQuants {
  __m512i first;
  __m512i second;
};

__m512i four_lanes(const uint8_t* at, uint32_t apart) {
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(at)), load16(at + apart), 1);
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(at + 2 * apart)), load16(at + 3 * apart), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// Element k of four in all of lane k.
__m512 spread_lanes(__m128 four) {
  const __m512i kLane = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  return _mm512_permutexvar_ps(kLane, _mm512_castps128_ps512(four));
}

// The halves at the start of four blocks. Put together in general registers: vector ports are what is scarce.
__m512 half_scales(const uint8_t* block, uint32_t apart) {
  const uint64_t bits = bits16(block) | bits16(block + apart) << 16 | bits16(block + 2 * apart) << 32 | bits16(block + 3 * apart) << 48;
  return spread_lanes(_mm_cvtph_ps(_mm_cvtsi64_si128(static_cast<long long>(bits))));
}

struct Q8_0 {
  static constexpr uint32_t kBytes = 34;
  static constexpr uint32_t kOffsetBits = 7;
  static __m512 scales(const uint8_t* block) { return half_scales(block, kBytes); }
  static SmallQuants quants(const uint8_t* block) {
    const __m512i kFlip = _mm512_set1_epi8(static_cast<char>(0x80));
    const __m512i a = _mm512_inserti64x4(_mm512_castsi256_si512(load32(block + 2)), load32(block + kBytes + 2), 1);
    const __m512i b = _mm512_inserti64x4(_mm512_castsi256_si512(load32(block + 2 * kBytes + 2)), load32(block + 3 * kBytes + 2), 1);
    return {_mm512_xor_si512(_mm512_shuffle_i64x2(a, b, 0x88), kFlip), _mm512_xor_si512(_mm512_shuffle_i64x2(a, b, 0xdd), kFlip)};
  }
};

struct Q4_0 {
  static constexpr uint32_t kBytes = 18;
  static constexpr uint32_t kOffsetBits = 3;
  static __m512 scales(const uint8_t* block) { return half_scales(block, kBytes); }
  static SmallQuants quants(const uint8_t* block) {
    const __m512i kNibble = _mm512_set1_epi8(15);
    const __m512i pairs = four_lanes(block + 2, kBytes);
    return {_mm512_and_si512(pairs, kNibble), _mm512_and_si512(_mm512_srli_epi16(pairs, 4), kNibble)};
  }
};

struct ScaleTable {
  float of[256];
};

constexpr ScaleTable make_scale_table() {
  ScaleTable table = {};
  for (uint32_t bits = 0; bits < 256; ++bits) table.of[bits] = mxfp4_half_scale(static_cast<uint8_t>(bits));
  return table;
}

constexpr ScaleTable kScaleTable = make_scale_table();

struct MXFP4 {
  static constexpr uint32_t kBytes = 17;
  static constexpr uint32_t kOffsetBits = 4;
  static __m512 scales(const uint8_t* block) {
    __m512 scales = _mm512_set1_ps(kScaleTable.of[block[0]]);
    scales = _mm512_mask_broadcastss_ps(scales, 0x00f0, _mm_load_ss(&kScaleTable.of[block[kBytes]]));
    scales = _mm512_mask_broadcastss_ps(scales, 0x0f00, _mm_load_ss(&kScaleTable.of[block[2 * kBytes]]));
    return _mm512_mask_broadcastss_ps(scales, 0xf000, _mm_load_ss(&kScaleTable.of[block[3 * kBytes]]));
  }
  static SmallQuants quants(const uint8_t* block) {
    const __m512i kNibble = _mm512_set1_epi8(15);
    const __m512i kValues = _mm512_add_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kMxfp4Doubled))),
                                            _mm512_set1_epi8(16));
    const __m512i pairs = four_lanes(block + 1, kBytes);
    return {_mm512_shuffle_epi8(kValues, _mm512_and_si512(pairs, kNibble)),
            _mm512_shuffle_epi8(kValues, _mm512_and_si512(_mm512_srli_epi16(pairs, 4), kNibble))};
  }
};

template <class Weight>
struct SmallDot {
  static constexpr uint32_t kTokens = 8;
  template <uint32_t T>
  static void group(const uint8_t* blocks, const uint8_t* activation, uint64_t act_stride, __m512 (&sums)[T]) {
    const SmallQuants w = Weight::quants(blocks);
    const __m512 scales = Weight::scales(blocks);
HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) {
      const auto* x = reinterpret_cast<const SmallActivation*>(activation + t * act_stride);
      __m512i products = _mm512_slli_epi32(load64(x->negative_sums), Weight::kOffsetBits);
      products = _mm512_dpbusd_epi32(products, w.first, load64(x->first));
      products = _mm512_dpbusd_epi32(products, w.second, load64(x->second));
      sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products), _mm512_mul_ps(scales, _mm512_loadu_ps(x->scale)), sums[t]);
    }
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m512 sums[T];
HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = _mm512_setzero_ps();
    for (uint32_t i = cols / SmallActivation::kValues; i > 0; --i) {
      prefetch<SmallActivation::kBlocks * Weight::kBytes>(row);
      group<T>(row, activation, act_stride, sums);
      row += SmallActivation::kBlocks * Weight::kBytes;
      activation += sizeof(SmallActivation);
    }
    if (const uint32_t left = cols % SmallActivation::kValues / 32; left > 0) {
      uint8_t blocks[SmallActivation::kBlocks * Weight::kBytes] = {};
      std::memcpy(blocks, row, left * Weight::kBytes);
      group<T>(blocks, activation, act_stride, sums);
    }
HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = _mm512_reduce_add_ps(sums[t]);
  }
};

// ---- blocks of 256

// The quants of a block as unsigned bytes in the order of SuperActivation::values, and the scale of each 32-bit lane's four, as
// a 16-bit number under 16 zero bits.
struct SuperQuants {
  __m512i quants[4];
  __m512i scales[4];
};

// From eight 16-bit scales repeated in each 128-bit lane: scale `of[k]` all over lane k.
template <int k0, int k1, int k2, int k3>
__m512i pick_scales(__m512i eight) {
  const auto pair = [](int k) { return 2 * k | (2 * k + 1) << 8 | static_cast<int>(0x80800000u); };
  const __m512i kPick = _mm512_set_epi32(pair(k3), pair(k3), pair(k3), pair(k3), pair(k2), pair(k2), pair(k2), pair(k2),  //
                                         pair(k1), pair(k1), pair(k1), pair(k1), pair(k0), pair(k0), pair(k0), pair(k0));
  return _mm512_shuffle_epi8(eight, kPick);
}

// Eight 16-bit scales, then eight 16-bit mins, from the first 16 bytes of a Q4_K or Q5_K block: runtime/format/quant.cc says how
// they are packed.
__m256i unpack_groups(__m128i head) {
  const __m256i twice = _mm256_broadcastsi128_si256(head);
  const __m256i kLow = _mm256_setr_epi8(4, -1, 5, -1, 6, -1, 7, -1, 12, -1, 13, -1, 14, -1, 15, -1,  //
                                        8, -1, 9, -1, 10, -1, 11, -1, 12, -1, 13, -1, 14, -1, 15, -1);
  const __m256i kHigh = _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 4, -1, 5, -1, 6, -1, 7, -1,  //
                                         -1, -1, -1, -1, -1, -1, -1, -1, 8, -1, 9, -1, 10, -1, 11, -1);
  const __m256i kShift = _mm256_setr_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4);
  const __m256i kMask = _mm256_setr_epi16(63, 63, 63, 63, 15, 15, 15, 15, 63, 63, 63, 63, 15, 15, 15, 15);
  const __m256i low = _mm256_and_si256(_mm256_srlv_epi16(_mm256_shuffle_epi8(twice, kLow), kShift), kMask);
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(_mm256_shuffle_epi8(twice, kHigh), 2), _mm256_set1_epi16(0x30));
  return _mm256_or_si256(low, high);
}

__m512i scaled_products(const SuperQuants& w, const SuperActivation& x, __m512i sums) {
HOTSET_UNROLL
  for (uint32_t i = 0; i < 4; ++i) {
    const __m512i products = _mm512_dpbusd_epi32(_mm512_setzero_si512(), w.quants[i], load64(x.values[2 * i]));
    sums = _mm512_dpwssd_epi32(sums, products, w.scales[i]);
  }
  return sums;
}

// Q4_K, and Q5_K with its fifth bits in 32 bytes before the nibbles.
template <bool kFifthBit>
struct GroupedDot {
  static constexpr uint32_t kTokens = 8;
  static constexpr uint32_t kBytes = kFifthBit ? 176 : 144;

  static void add_fifth_bits(const uint8_t* block, __m512i (&quants)[4]) {
    const __m512i bits = both_halves(block + 16);
    const __m512i kFifth = _mm512_set1_epi8(16);
    // Turns that bring the bit of group 0 | 2, 1 | 3, 4 | 6, 5 | 7 to bit 4 of its byte.
    const __m512i turns[4] = {_mm512_setr_epi64(4, 4, 4, 4, 2, 2, 2, 2), _mm512_setr_epi64(3, 3, 3, 3, 1, 1, 1, 1),
                              _mm512_setr_epi64(0, 0, 0, 0, 62, 62, 62, 62), _mm512_setr_epi64(63, 63, 63, 63, 61, 61, 61, 61)};
HOTSET_UNROLL
    for (uint32_t i = 0; i < 4; ++i) quants[i] = and_or(_mm512_rolv_epi64(bits, turns[i]), kFifth, quants[i]);
  }

  static SuperQuants unpack(const uint8_t* block, __m128i scales) {
    const __m512i kNibble = _mm512_set1_epi8(15);
    const __m512i a = load64(block + kBytes - 128), b = load64(block + kBytes - 64);
    SuperQuants w;
    w.quants[0] = _mm512_and_si512(a, kNibble);
    w.quants[1] = _mm512_and_si512(_mm512_srli_epi16(a, 4), kNibble);
    w.quants[2] = _mm512_and_si512(b, kNibble);
    w.quants[3] = _mm512_and_si512(_mm512_srli_epi16(b, 4), kNibble);
    if (kFifthBit) add_fifth_bits(block, w.quants);
    const __m512i eight = _mm512_broadcast_i32x4(scales);
    w.scales[0] = pick_scales<0, 0, 2, 2>(eight);
    w.scales[1] = pick_scales<1, 1, 3, 3>(eight);
    w.scales[2] = pick_scales<4, 4, 6, 6>(eight);
    w.scales[3] = pick_scales<5, 5, 7, 7>(eight);
    return w;
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m512 sums[T];
    __m128 lows[T];
HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = _mm512_setzero_ps(), lows[t] = _mm_setzero_ps();
    for (uint32_t i = cols / SuperActivation::kValues; i > 0; --i, row += kBytes, activation += sizeof(SuperActivation)) {
      prefetch<kBytes>(row);
      const __m128i head = load16(row);
      const __m256i groups = unpack_groups(head);
      const SuperQuants w = unpack(row, _mm256_castsi256_si128(groups));
      const __m128i mins = _mm256_extracti128_si256(groups, 1);
      const __m128 d = _mm_cvtph_ps(head);  // d, dmin
HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) {
        const auto* x = reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
        const __m128 scale = _mm_mul_ps(d, _mm_set1_ps(x->scale));
        const __m512i products = scaled_products(w, *x, _mm512_setzero_si512());
        sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products), _mm512_broadcastss_ps(scale), sums[t]);
        const __m128i low = _mm_madd_epi16(mins, _mm_load_si128(reinterpret_cast<const __m128i*>(x->sums32)));
        lows[t] = _mm_fmadd_ps(_mm_cvtepi32_ps(low), _mm_permute_ps(scale, 0x55), lows[t]);
      }
    }
HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = _mm512_reduce_add_ps(_mm512_sub_ps(sums[t], _mm512_zextps128_ps512(lows[t])));
  }
};

struct Q6KDot {
  static constexpr uint32_t kTokens = 8;
  static constexpr uint32_t kBytes = 210;

  // 128 weights: groups 0 | 2 and 1 | 3 of this half.
  static void unpack_half(const uint8_t* low, const uint8_t* high, __m512i* quants) {
    const __m512i kNibble = _mm512_set1_epi8(15), kPair = _mm512_set1_epi8(0x30);
    const __m512i shift = _mm512_setr_epi64(0, 0, 0, 0, 4, 4, 4, 4);
    const __m512i pairs = both_halves(high);
    const __m512i pairs02 = _mm512_and_si512(_mm512_rolv_epi64(pairs, _mm512_setr_epi64(4, 4, 4, 4, 0, 0, 0, 0)), kPair);
    const __m512i pairs13 = _mm512_and_si512(_mm512_rolv_epi64(pairs, _mm512_setr_epi64(2, 2, 2, 2, 62, 62, 62, 62)), kPair);
    quants[0] = and_or(_mm512_srlv_epi64(both_halves(low), shift), kNibble, pairs02);
    quants[1] = and_or(_mm512_srlv_epi64(both_halves(low + 32), shift), kNibble, pairs13);
  }

  static SuperQuants unpack(const uint8_t* block, __m256i scales) {
    SuperQuants w;
    unpack_half(block, block + 128, w.quants);
    unpack_half(block + 64, block + 160, w.quants + 2);
    const __m512i all = _mm512_castsi256_si512(scales);
    const __m512i low = _mm512_shuffle_i64x2(all, all, 0x00), high = _mm512_shuffle_i64x2(all, all, 0x55);
    w.scales[0] = pick_scales<0, 1, 4, 5>(low);
    w.scales[1] = pick_scales<2, 3, 6, 7>(low);
    w.scales[2] = pick_scales<0, 1, 4, 5>(high);
    w.scales[3] = pick_scales<2, 3, 6, 7>(high);
    return w;
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m512 sums[T];
HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = _mm512_setzero_ps();
    for (uint32_t i = cols / SuperActivation::kValues; i > 0; --i, row += kBytes, activation += sizeof(SuperActivation)) {
      prefetch<kBytes>(row);
      const __m256i scales = _mm256_cvtepi8_epi16(load16(row + 192));
      const SuperQuants w = unpack(row, scales);
      const float d = half(row + 208);
HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) {
        const auto* x = reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
        // Quants are 32 too large.
        const __m256i offsets = _mm256_slli_epi32(_mm256_madd_epi16(scales, load32(reinterpret_cast<const uint8_t*>(x->sums16))), 5);
        const __m512i start = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_zextsi256_si512(offsets));
        const __m512i products = scaled_products(w, *x, start);
        sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products), _mm512_set1_ps(d * x->scale), sums[t]);
      }
    }
HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = _mm512_reduce_add_ps(sums[t]);
  }
};

void multiply(BlockType type, const void* rows, uint64_t row_bytes, uint32_t row_count, uint32_t cols, const void* activations,
              uint64_t act_stride, uint32_t tokens, float* out, uint64_t out_stride) {
  const Product product = {static_cast<const uint8_t*>(rows), row_bytes, row_count, cols, static_cast<const uint8_t*>(activations),
                           act_stride, tokens, out, out_stride};
  switch (type) {
    case BlockType::kF32: return multiply_tiled<PlainDot<F32>>(product);
    case BlockType::kF16: return multiply_tiled<PlainDot<F16>>(product);
    case BlockType::kBF16: return multiply_tiled<PlainDot<BF16>>(product);
    case BlockType::kQ8_0: return multiply_tiled<SmallDot<Q8_0>>(product);
    case BlockType::kQ4_0: return multiply_tiled<SmallDot<Q4_0>>(product);
    case BlockType::kMXFP4: return multiply_tiled<SmallDot<MXFP4>>(product);
    case BlockType::kQ4_K: return multiply_tiled<GroupedDot<false>>(product);
    case BlockType::kQ5_K: return multiply_tiled<GroupedDot<true>>(product);
    case BlockType::kQ6_K: return multiply_tiled<Q6KDot>(product);
    case BlockType::kI32: return;  // no weights
    default: return multiply_rare_avx512(type, rows, row_bytes, row_count, cols, activations, act_stride, tokens, out, out_stride);
  }
}

// ---- prepare

struct Rounding {
  float scale;
  float inverse;  // 0: the values round to zero
};

// From the largest magnitude's bits, where NaN is above infinity.
Rounding rounding_of(uint32_t largest_bits) {
  if (largest_bits >= 0x7f800000u) return {__builtin_nanf(""), 0};
  float amax;
  std::memcpy(&amax, &largest_bits, sizeof amax);
  if (amax < 0x1p-119f) return {0, 0};
  return {amax / 127.0f, 127.0f / amax};
}

__m512i magnitude_bits(const float* x) { return _mm512_and_si512(load64(x), _mm512_set1_epi32(0x7fffffff)); }

// 16 values; where inverse is 0 they may be anything and become 0.
__m128i round16(const float* x, float inverse) {
  const __mmask16 any = inverse == 0 ? __mmask16(0) : __mmask16(0xffff);
  return _mm512_maskz_cvtepi32_epi8(any, _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(inverse))));
}

void prepare_small(const float* x, uint32_t cols, SmallActivation* out) {
  const uint32_t blocks = cols / 32;
  std::memset(out + small_groups(cols) - 1, 0, sizeof *out);
  for (uint32_t block = 0; block < blocks; ++block, x += 32) {
    SmallActivation& group = out[block / SmallActivation::kBlocks];
    const uint32_t at = block % SmallActivation::kBlocks;
    const Rounding rounding = rounding_of(_mm512_reduce_max_epu32(_mm512_max_epu32(magnitude_bits(x), magnitude_bits(x + 16))));
    const __m128i first = round16(x, rounding.inverse), second = round16(x + 16, rounding.inverse);
    _mm_store_si128(reinterpret_cast<__m128i*>(group.first[at]), first);
    _mm_store_si128(reinterpret_cast<__m128i*>(group.second[at]), second);
    _mm_store_ps(group.scale[at], _mm_set1_ps(rounding.scale));
    const __m128i ones = _mm_set1_epi8(1);
    const __m128i sums = _mm_dpbusd_epi32(_mm_dpbusd_epi32(_mm_setzero_si128(), ones, first), ones, second);
    _mm_store_si128(reinterpret_cast<__m128i*>(group.negative_sums[at]), _mm_sub_epi32(_mm_setzero_si128(), sums));
  }
}

void prepare_super(const float* x, uint32_t cols, SuperActivation* out) {
  for (uint32_t block = 0; block < cols / SuperActivation::kValues; ++block, ++out, x += SuperActivation::kValues) {
    __m512i largest = magnitude_bits(x);
    for (uint32_t i = 16; i < SuperActivation::kValues; i += 16) largest = _mm512_max_epu32(largest, magnitude_bits(x + i));
    const Rounding rounding = rounding_of(_mm512_reduce_max_epu32(largest));
    for (uint32_t i = 0; i < 16; ++i) {
      const __m128i values = round16(x + 16 * i, rounding.inverse);
      _mm_store_si128(reinterpret_cast<__m128i*>(out->values[SuperActivation::kPlaceOfGroup[i / 2]] + i % 2 * 16), values);
      const __m512i wide = _mm512_cvtepi8_epi32(values);
      out->sums16[i] = static_cast<int16_t>(_mm512_reduce_add_epi32(wide));
    }
    for (uint32_t i = 0; i < 8; ++i) out->sums32[i] = static_cast<int16_t>(out->sums16[2 * i] + out->sums16[2 * i + 1]);
    out->scale = rounding.scale;
    std::memset(out->unused, 0, sizeof out->unused);
  }
}

void prepare(BlockType weight_type, const float* x, uint32_t cols, void* out) {
  if (cols == 0) return;
  switch (activation_form(weight_type)) {
    case ActivationForm::kFloat: return kPortableKernels.prepare(weight_type, x, cols, out);
    case ActivationForm::kSmall: return prepare_small(x, cols, static_cast<SmallActivation*>(out));
    case ActivationForm::kSuper: return prepare_super(x, cols, static_cast<SuperActivation*>(out));
  }
}

}  // namespace

const Kernels kAvx512Kernels = {"avx512-vnni", prepare, multiply};

}  // namespace hotset::cpu
