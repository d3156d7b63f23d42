// Kernels for AVX2 with FMA and F16C.
//
// VPMADDUBSW multiplies unsigned weights with signed activations and sums two products in 16 bits, which holds for weights of up
// to 7 bits; VPMADDWD then multiplies with a 16-bit scale, or 1, and sums two more.
#include "runtime/compute/cpu/avx2.h"
#include "runtime/compute/cpu/kernel_sets.h"
#include "runtime/compute/cpu/tile.h"
#include "runtime/format/mxfp4.h"

namespace hotset::cpu {
namespace {

float sum_of(__m256 v) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

// ---- F32, F16, BF16: activations stay float32

struct F32 {
  static constexpr uint32_t kBytes = 4;
  static __m256 load(const uint8_t* at) { return _mm256_castsi256_ps(load32(at)); }
};

struct F16 {
  static constexpr uint32_t kBytes = 2;
  static __m256 load(const uint8_t* at) { return _mm256_cvtph_ps(load16(at)); }
};

struct BF16 {
  static constexpr uint32_t kBytes = 2;
  static __m256 load(const uint8_t* at) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(at)), 16)); }
};

template <class Weight>
struct PlainDot {
  static constexpr uint32_t kTokens = 4;
  static constexpr uint32_t kParts = 2;  // sums of one output

  template <uint32_t T>
  static void add(__m256 w, const float* x, uint64_t stride, uint32_t part, __m256 (&sums)[T][kParts]) {
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t][part] = _mm256_fmadd_ps(w, _mm256_loadu_ps(x + t * stride), sums[t][part]);
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    const auto* x = reinterpret_cast<const float*>(activation);
    const uint64_t stride = act_stride / sizeof(float);
    __m256 sums[T][kParts];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t][0] = sums[t][1] = _mm256_setzero_ps();
    uint32_t i = 0;
    for (; cols - i >= 16; i += 16) {
      prefetch<16 * Weight::kBytes>(row + uint64_t{i} * Weight::kBytes);
      add<T>(Weight::load(row + uint64_t{i} * Weight::kBytes), x + i, stride, 0, sums);
      add<T>(Weight::load(row + uint64_t{i + 8} * Weight::kBytes), x + i + 8, stride, 1, sums);
    }
    for (; i < cols; i += 8) {  // an activation goes on with zeros
      const uint32_t left = cols - i < 8 ? cols - i : 8;
      uint8_t last[8 * Weight::kBytes] = {};
      std::memcpy(last, row + uint64_t{i} * Weight::kBytes, left * Weight::kBytes);
      add<T>(Weight::load(last), x + i, stride, 0, sums);
    }
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = sum_of(_mm256_add_ps(sums[t][0], sums[t][1]));
  }
};

// ---- blocks of 32, two at a time: each has a 128-bit lane

// The quants of two blocks.
struct SmallQuants {
  __m256i first;
  __m256i second;
};

// Element k and k + 1 of four in all of lanes 0 and 1.
__m256 spread_lanes(__m128 four, int k) {
  const __m256i lanes = _mm256_add_epi32(_mm256_set1_epi32(k), _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
  return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(four), lanes);
}

// Products of unsigned quants that are `1 << offset_bits` too large, four to a sum.
__m256i offset_products(const SmallQuants& w, __m256i first, __m256i second, __m256i negative_sums, int offset_bits) {
  const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(w.first, first), _mm256_maddubs_epi16(w.second, second));
  return _mm256_add_epi32(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)), _mm256_slli_epi32(negative_sums, offset_bits));
}

struct Q8_0 {
  static constexpr uint32_t kBytes = 34;
  static __m128 scales(const uint8_t* block) { return four_halves(block, kBytes); }
  static SmallQuants quants(const uint8_t* block) {
    const __m256i a = load32(block + 2), b = load32(block + kBytes + 2);
    return {_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31)};
  }
  // The sign goes over to the activation.
  static __m256i products16(__m256i w, __m256i x) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)), _mm256_set1_epi16(1));
  }
  static __m256i products(const SmallQuants& w, __m256i first, __m256i second, __m256i) {
    return _mm256_add_epi32(products16(w.first, first), products16(w.second, second));
  }
};

struct Q4_0 {
  static constexpr uint32_t kBytes = 18;
  static __m128 scales(const uint8_t* block) { return four_halves(block, kBytes); }
  static SmallQuants quants(const uint8_t* block) {
    const __m256i pairs = two_lanes(load16(block + 2), load16(block + kBytes + 2));
    return {nibbles(pairs), high_nibbles(pairs)};
  }
  static __m256i products(const SmallQuants& w, __m256i first, __m256i second, __m256i negative_sums) {
    return offset_products(w, first, second, negative_sums, 3);
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
  static __m128 scales(const uint8_t* block) {
    return _mm_setr_ps(kScaleTable.of[block[0]], kScaleTable.of[block[kBytes]], kScaleTable.of[block[2 * kBytes]],
                       kScaleTable.of[block[3 * kBytes]]);
  }
  static SmallQuants quants(const uint8_t* block) {
    const __m256i kValues = both_halves(_mm_add_epi8(load16(kMxfp4Doubled), _mm_set1_epi8(16)));
    const __m256i pairs = two_lanes(load16(block + 1), load16(block + kBytes + 1));
    return {_mm256_shuffle_epi8(kValues, nibbles(pairs)), _mm256_shuffle_epi8(kValues, high_nibbles(pairs))};
  }
  static __m256i products(const SmallQuants& w, __m256i first, __m256i second, __m256i negative_sums) {
    return offset_products(w, first, second, negative_sums, 4);
  }
};

template <class Weight>
struct SmallDot {
  static constexpr uint32_t kTokens = 4;
  template <uint32_t T>
  static void two_blocks(const uint8_t* blocks, uint32_t at, __m256 scales, const uint8_t* activation, uint64_t act_stride, __m256 (&sums)[T]) {
    const SmallQuants w = Weight::quants(blocks + at * Weight::kBytes);
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) {
      const auto* x = reinterpret_cast<const SmallActivation*>(activation + t * act_stride);
      const __m256i products = Weight::products(w, load32(x->first[at]), load32(x->second[at]), load32(x->negative_sums[at]));
      sums[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), _mm256_mul_ps(scales, _mm256_load_ps(x->scale[at])), sums[t]);
    }
  }

  template <uint32_t T>
  static void group(const uint8_t* blocks, const uint8_t* activation, uint64_t act_stride, __m256 (&sums)[T]) {
    const __m128 scales = Weight::scales(blocks);
    two_blocks<T>(blocks, 0, spread_lanes(scales, 0), activation, act_stride, sums);
    two_blocks<T>(blocks, 2, spread_lanes(scales, 2), activation, act_stride, sums);
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m256 sums[T];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = _mm256_setzero_ps();
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
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = sum_of(sums[t]);
  }
};

// ---- blocks of 256

// Eight 16-bit scales, then eight 16-bit mins, from the first 16 bytes of a Q4_K or Q5_K block: runtime/format/quant.cc says how
// they are packed.
__m256i unpack_groups(__m128i head) {
  const __m256i twice = both_halves(head);
  const __m256i kLow = _mm256_setr_epi8(4, -1, 5, -1, 6, -1, 7, -1, 12, -1, 13, -1, 14, -1, 15, -1,  //
                                        8, -1, 9, -1, 10, -1, 11, -1, -1, 12, -1, 13, -1, 14, -1, 15);
  const __m256i kHigh = _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 4, -1, 5, -1, 6, -1, 7, -1,  //
                                         -1, -1, -1, -1, -1, -1, -1, -1, 8, -1, 9, -1, 10, -1, 11, -1);
  // The last four mins are high nibbles: they were put into high bytes, and 12 bits down they stand alone.
  const __m256i low = _mm256_shuffle_epi8(twice, kLow);
  const __m256i kMask = _mm256_setr_epi16(63, 63, 63, 63, 15, 15, 15, 15, 63, 63, 63, 63, 0, 0, 0, 0);
  const __m256i last = _mm256_blend_epi32(_mm256_setzero_si256(), _mm256_srli_epi16(low, 12), 0xc0);
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(_mm256_shuffle_epi8(twice, kHigh), 2), _mm256_set1_epi16(0x30));
  return _mm256_or_si256(_mm256_or_si256(_mm256_and_si256(low, kMask), last), high);
}

// Scale k of eight 16-bit ones, repeated in both lanes, all over lane 0; scale k1 all over lane 1.
__m256i pick_scales(__m256i eight, int k0, int k1) {
  const __m256i pick = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_set1_epi16(static_cast<short>(2 * k0 | (2 * k0 + 1) << 8))),
                                               _mm_set1_epi16(static_cast<short>(2 * k1 | (2 * k1 + 1) << 8)), 1);
  return _mm256_shuffle_epi8(eight, pick);
}

// The quants of four groups as unsigned bytes, in the order of SuperActivation::values, and their scales.
struct SuperQuants {
  __m256i quants[4];
  __m256i scales[4];
};

__m256i scaled_products(const SuperQuants& w, const int8_t (*values)[32], __m256i sums) {
  HOTSET_UNROLL
  for (uint32_t i = 0; i < 4; ++i) {
    const __m256i pairs = _mm256_maddubs_epi16(w.quants[i], load32(values[i]));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, w.scales[i]));
  }
  return sums;
}

// Q4_K, and Q5_K with its fifth bits in 32 bytes before the nibbles.
template <bool kFifthBit>
struct GroupedDot {
  static constexpr uint32_t kTokens = 4;
  static constexpr uint32_t kBytes = kFifthBit ? 176 : 144;

  static __m256i fifth(__m256i bits, int group) {
    const __m256i turned = group <= 4 ? _mm256_slli_epi16(bits, 4 - group) : _mm256_srli_epi16(bits, group - 4);
    return _mm256_and_si256(turned, _mm256_set1_epi8(16));
  }

  // Groups 0 2 1 3, or 4 6 5 7.
  template <uint32_t kHalf>
  static SuperQuants unpack(const uint8_t* block, __m128i scales) {
    const uint8_t* bytes = block + kBytes - 128 + 64 * kHalf;
    const __m256i a = load32(bytes), b = load32(bytes + 32);
    SuperQuants w = {{nibbles(a), nibbles(b), high_nibbles(a), high_nibbles(b)}, {}};
    const __m256i bits = kFifthBit ? load32(block + 16) : __m256i{};
    const __m256i eight = both_halves(scales);
    constexpr int kGroups[4] = {0, 2, 1, 3};
    HOTSET_UNROLL
    for (uint32_t i = 0; i < 4; ++i) {
      const int group = kGroups[i] + 4 * static_cast<int>(kHalf);
      if (kFifthBit) w.quants[i] = _mm256_or_si256(w.quants[i], fifth(bits, group));
      w.scales[i] = pick_scales(eight, group, group);
    }
    return w;
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m256 sums[T];
    __m128 lows[T];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = _mm256_setzero_ps(), lows[t] = _mm_setzero_ps();
    for (uint32_t i = cols / SuperActivation::kValues; i > 0; --i, row += kBytes, activation += sizeof(SuperActivation)) {
      prefetch<kBytes>(row);
      const __m128i head = load16(row);
      const __m256i groups = unpack_groups(head);
      const __m128i mins = _mm256_extracti128_si256(groups, 1);
      const __m128 d = _mm_cvtph_ps(head);  // d, dmin
      __m256i products[T];
      const SuperQuants front = unpack<0>(row, _mm256_castsi256_si128(groups));
      HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) products[t] = scaled_products(front, values_of(activation + t * act_stride), _mm256_setzero_si256());
      const SuperQuants back = unpack<1>(row, _mm256_castsi256_si128(groups));
      HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) {
        const auto* x = reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
        products[t] = scaled_products(back, x->values + 4, products[t]);
        const __m128 scale = _mm_mul_ps(d, _mm_set1_ps(x->scale));
        sums[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products[t]), _mm256_broadcastss_ps(scale), sums[t]);
        const __m128i low = _mm_madd_epi16(mins, load16(x->sums32));
        lows[t] = _mm_fmadd_ps(_mm_cvtepi32_ps(low), _mm_permute_ps(scale, 0x55), lows[t]);
      }
    }
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = sum_of(_mm256_sub_ps(sums[t], _mm256_zextps128_ps256(lows[t])));
  }

  static const int8_t (*values_of(const uint8_t* activation))[32] { return reinterpret_cast<const SuperActivation*>(activation)->values; }
};

struct Q6KDot {
  static constexpr uint32_t kTokens = 4;
  static constexpr uint32_t kBytes = 210;

  // 128 weights: groups 0 2 1 3 of this half. The eight scales are repeated in both lanes.
  static SuperQuants unpack_half(const uint8_t* low, const uint8_t* high, __m256i eight) {
    const __m256i kPair = _mm256_set1_epi8(0x30);
    const __m256i a = load32(low), b = load32(low + 32), pairs = load32(high);
    const __m256i bits[4] = {_mm256_slli_epi16(pairs, 4), pairs, _mm256_slli_epi16(pairs, 2), _mm256_srli_epi16(pairs, 2)};
    SuperQuants w = {{nibbles(a), high_nibbles(a), nibbles(b), high_nibbles(b)}, {}};
    constexpr int kGroups[4] = {0, 2, 1, 3};
    HOTSET_UNROLL
    for (uint32_t i = 0; i < 4; ++i) {
      w.quants[i] = _mm256_or_si256(w.quants[i], _mm256_and_si256(bits[i], kPair));
      w.scales[i] = pick_scales(eight, 2 * kGroups[i], 2 * kGroups[i] + 1);
    }
    return w;
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m256 sums[T];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = _mm256_setzero_ps();
    for (uint32_t i = cols / SuperActivation::kValues; i > 0; --i, row += kBytes, activation += sizeof(SuperActivation)) {
      prefetch<kBytes>(row);
      const __m256i scales = _mm256_cvtepi8_epi16(load16(row + 192));
      const float d = half(row + 208);
      __m256i products[T];
      const SuperQuants front = unpack_half(row, row + 128, both_halves(_mm256_castsi256_si128(scales)));
      HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) {
        const auto* x = reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
        // Quants are 32 too large.
        const __m256i offsets = _mm256_slli_epi32(_mm256_madd_epi16(scales, load32(x->sums16)), 5);
        products[t] = scaled_products(front, x->values, _mm256_sub_epi32(_mm256_setzero_si256(), offsets));
      }
      const SuperQuants back = unpack_half(row + 64, row + 160, both_halves(_mm256_extracti128_si256(scales, 1)));
      HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) {
        const auto* x = reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
        products[t] = scaled_products(back, x->values + 4, products[t]);
        sums[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products[t]), _mm256_set1_ps(d * x->scale), sums[t]);
      }
    }
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = sum_of(sums[t]);
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
    default: return multiply_rare_avx2(type, rows, row_bytes, row_count, cols, activations, act_stride, tokens, out, out_stride);
  }
}

// ---- prepare

struct Rounding {
  float scale;
  float inverse;  // 0: the values round to zero
};

__m256i magnitude_bits(const float* x) { return _mm256_and_si256(load32(x), _mm256_set1_epi32(0x7fffffff)); }

// From magnitudes as bits, where NaN is above infinity.
Rounding rounding_of(__m256i magnitudes) {
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(magnitudes), _mm256_extracti128_si256(magnitudes, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1));
  const float amax = _mm_cvtss_f32(_mm_castsi128_ps(four));
  if (!(amax < __builtin_inff())) return {__builtin_nanf(""), 0};
  if (amax < 0x1p-119f) return {0, 0};
  return {amax / 127.0f, 127.0f / amax};
}

// 16 values; where inverse is 0 they may be anything and become 0.
__m128i round16(const float* x, float inverse) {
  const __m256i any = _mm256_set1_epi32(inverse == 0 ? 0 : -1);
  const __m256 factor = _mm256_set1_ps(inverse);
  const __m256i low = _mm256_and_si256(_mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), factor)), any);
  const __m256i high = _mm256_and_si256(_mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), factor)), any);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
  return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

// Sums of four neighbours.
__m128i sums4(__m128i values) { return _mm_madd_epi16(_mm_maddubs_epi16(_mm_set1_epi8(1), values), _mm_set1_epi16(1)); }

int sum16(__m128i values) {
  __m128i four = sums4(values);
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

void prepare_small(const float* x, uint32_t cols, SmallActivation* out) {
  std::memset(out + small_groups(cols) - 1, 0, sizeof *out);
  for (uint32_t block = 0; block < cols / 32; ++block, x += 32) {
    SmallActivation& group = out[block / SmallActivation::kBlocks];
    const uint32_t at = block % SmallActivation::kBlocks;
    const __m256i low = _mm256_max_epu32(magnitude_bits(x), magnitude_bits(x + 8));
    const Rounding rounding = rounding_of(_mm256_max_epu32(low, _mm256_max_epu32(magnitude_bits(x + 16), magnitude_bits(x + 24))));
    const __m128i first = round16(x, rounding.inverse), second = round16(x + 16, rounding.inverse);
    _mm_store_si128(reinterpret_cast<__m128i*>(group.first[at]), first);
    _mm_store_si128(reinterpret_cast<__m128i*>(group.second[at]), second);
    _mm_store_ps(group.scale[at], _mm_set1_ps(rounding.scale));
    const __m128i sums = _mm_add_epi32(sums4(first), sums4(second));
    _mm_store_si128(reinterpret_cast<__m128i*>(group.negative_sums[at]), _mm_sub_epi32(_mm_setzero_si128(), sums));
  }
}

void prepare_super(const float* x, uint32_t cols, SuperActivation* out) {
  for (uint32_t block = 0; block < cols / SuperActivation::kValues; ++block, ++out, x += SuperActivation::kValues) {
    __m256i largest = magnitude_bits(x);
    for (uint32_t i = 8; i < SuperActivation::kValues; i += 8) largest = _mm256_max_epu32(largest, magnitude_bits(x + i));
    const Rounding rounding = rounding_of(largest);
    for (uint32_t i = 0; i < 16; ++i) {
      const __m128i values = round16(x + 16 * i, rounding.inverse);
      _mm_store_si128(reinterpret_cast<__m128i*>(out->values[SuperActivation::kPlaceOfGroup[i / 2]] + i % 2 * 16), values);
      out->sums16[i] = static_cast<int16_t>(sum16(values));
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

const Kernels kAvx2Kernels = {"avx2", prepare, multiply};

}  // namespace hotset::cpu
