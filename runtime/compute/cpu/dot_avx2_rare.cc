// Kernels for AVX2 of the types of rare_avx2.h: blocks are expanded to bytes and scales, then multiplied as in dot_avx2.cc.
#include "runtime/compute/cpu/kernel_sets.h"
#include "runtime/compute/cpu/rare_avx2.h"

namespace hotset::cpu {
namespace {

float sum_of(__m256 v) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

// Products of bytes, two to a sum of 16 bits. A sign goes over to the activation.
template <bool kSigned>
__m256i pair_products(__m256i w, __m256i x) {
  return kSigned ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)) : _mm256_maddubs_epi16(w, x);
}

// Element 2 i and 2 i + 1 of four in all of lanes 0 and 1.
__m256 spread_lanes(__m128 four, uint32_t i) {
  const __m256i lanes = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(2 * i)), _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
  return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(four), lanes);
}

template <class Weight>
struct SmallDot {
  static constexpr uint32_t kTokens = 4;
  static constexpr uint32_t kGroupBytes = 4 / Weight::kTogether * Weight::kBytes;

  static __m256 add_two(const SmallWeights& w, const SmallActivation& x, uint32_t i, __m256 sum) {
    const __m256i kOnes = _mm256_set1_epi16(1);
    const __m256i first = _mm256_madd_epi16(pair_products<Weight::kSigned>(w.first[i], load32(x.first[2 * i])), kOnes);
    const __m256i second = _mm256_madd_epi16(pair_products<Weight::kSigned>(w.second[i], load32(x.second[2 * i])), kOnes);
    const __m256i negative_sums = load32(x.negative_sums[2 * i]);
    const __m256 scale = _mm256_load_ps(x.scale[2 * i]);
    const __m256 first_scale = _mm256_mul_ps(spread_lanes(w.first_scales, i), scale);
    if constexpr (Weight::kTwoScales) {
      const __m256 second_scale = _mm256_mul_ps(spread_lanes(w.second_scales, i), scale);
      sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(first), first_scale, sum);
      return _mm256_fmadd_ps(_mm256_cvtepi32_ps(second), second_scale, sum);
    }
    __m256i products = _mm256_add_epi32(first, second);
    if (Weight::kOffset) products = _mm256_add_epi32(products, _mm256_slli_epi32(negative_sums, Weight::kOffsetBits));
    sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), first_scale, sum);
    if (Weight::kMins) sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(negative_sums), _mm256_mul_ps(spread_lanes(w.mins, i), scale), sum);
    return sum;
  }

  template <uint32_t T>
  static void group(const uint8_t* blocks, const uint8_t* activation, uint64_t act_stride, __m256 (&sums)[T]) {
    SmallWeights w;
    Weight::load(blocks, w);
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) {
      const auto& x = *reinterpret_cast<const SmallActivation*>(activation + t * act_stride);
      sums[t] = add_two(w, x, 1, add_two(w, x, 0, sums[t]));
    }
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m256 sums[T];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = _mm256_setzero_ps();
    for (uint32_t i = cols / SmallActivation::kValues; i > 0; --i, row += kGroupBytes, activation += sizeof(SmallActivation)) {
      prefetch<kGroupBytes>(row);
      group<T>(row, activation, act_stride, sums);
    }
    if (const uint32_t left = cols % SmallActivation::kValues / 32; left > 0) {
      uint8_t blocks[kGroupBytes] = {};
      std::memcpy(blocks, row, left / Weight::kTogether * Weight::kBytes);
      group<T>(blocks, activation, act_stride, sums);
    }
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = sum_of(sums[t]);
  }
};

// Scale k of eight 16-bit ones, repeated in both lanes, all over lane 0; scale k + 1 all over lane 1.
__m256i pick_scales(__m256i eight, int k) {
  const auto pick = [](int at) { return _mm_set1_epi16(static_cast<short>(2 * at | (2 * at + 1) << 8)); };
  return _mm256_shuffle_epi8(eight, two_lanes(pick(k), pick(k + 1)));
}

template <class Weight>
struct SuperDot {
  static constexpr uint32_t kTokens = 4;

  // The scales of each place's two halves.
  static void spread_scales(__m256i scales, __m256i (&out)[8]) {
    const __m256i low = both_halves(_mm256_castsi256_si128(scales)), high = both_halves(_mm256_extracti128_si256(scales, 1));
    HOTSET_UNROLL
    for (uint32_t g = 0; g < 8; ++g) out[SuperActivation::kPlaceOfGroup[g]] = pick_scales(g < 4 ? low : high, static_cast<int>(g % 4 * 2));
  }

  static __m256i products(const SuperWeights& w, const __m256i (&scales)[8], const SuperActivation& x, __m256i sum) {
    HOTSET_UNROLL
    for (uint32_t i = 0; i < 8; ++i) {
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pair_products<Weight::kSigned>(w.quants[i], load32(x.values[i])), scales[i]));
    }
    return sum;
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m256 sums[T];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = _mm256_setzero_ps();
    for (uint32_t i = cols / SuperActivation::kValues; i > 0; --i, row += Weight::kBytes, activation += sizeof(SuperActivation)) {
      prefetch<Weight::kBytes>(row);
      SuperWeights w;
      Weight::load(row, w);
      __m256i scales[8];
      spread_scales(w.scales, scales);
      HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) {
        const auto& x = *reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
        __m256i start = _mm256_setzero_si256();
        if (Weight::kMins != Mins::kNone) {
          const __m256i lows = _mm256_madd_epi16(w.mins, load32(x.sums16));
          if (Weight::kMins == Mins::kSameScale) start = _mm256_sub_epi32(start, lows);
          else sums[t] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(lows), _mm256_set1_ps(w.dmin * x.scale), sums[t]);
        }
        sums[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products(w, scales, x, start)), _mm256_set1_ps(w.d * x.scale), sums[t]);
      }
    }
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = sum_of(sums[t]);
  }
};

struct Multiply {
  const Product& product;
  template <class Weight>
  void small() const {
    multiply_tiled<SmallDot<Weight>>(product);
  }
  template <class Weight>
  void super() const {
    multiply_tiled<SuperDot<Weight>>(product);
  }
};

}  // namespace

void multiply_rare_avx2(BlockType type, const void* rows, uint64_t row_bytes, uint32_t row_count, uint32_t cols, const void* activations,
                        uint64_t act_stride, uint32_t tokens, float* out, uint64_t out_stride) {
  const Product product = {static_cast<const uint8_t*>(rows), row_bytes, row_count, cols, static_cast<const uint8_t*>(activations),
                           act_stride, tokens, out, out_stride};
  with_rare_type(type, Multiply{product});
}

}  // namespace hotset::cpu
