// Kernels for AVX-512 of the types of rare_avx2.h: blocks are expanded there, two registers are joined to one, and products are
// those of dot_avx512.cc. VPDPWSSD multiplies 16-bit sums of two products with their scale, so quants may have 7 bits.
#include "runtime/compute/cpu/kernel_sets.h"
#include "runtime/compute/cpu/rare_avx2.h"

namespace hotset::cpu {
namespace {

__m512i load64(const void* at) { return _mm512_loadu_si512(at); }
__m512i joined(__m256i low, __m256i high) { return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1); }

// Bytes of weights without their signs, and which have one: it goes over to the activation.
template <bool kSigned>
struct Bytes {
  explicit Bytes(__m512i w) : magnitudes(kSigned ? _mm512_abs_epi8(w) : w), negative(kSigned ? _mm512_movepi8_mask(w) : 0) {}
  __m512i turned(__m512i x) const { return kSigned ? _mm512_mask_sub_epi8(x, negative, _mm512_setzero_si512(), x) : x; }

  __m512i magnitudes;
  __mmask64 negative;
};

// Element k of four in all of lane k.
__m512 spread_lanes(__m128 four) {
  const __m512i kLane = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  return _mm512_permutexvar_ps(kLane, _mm512_castps128_ps512(four));
}

template <class Weight>
struct SmallDot {
  static constexpr uint32_t kTokens = 8;
  static constexpr uint32_t kGroupBytes = 4 / Weight::kTogether * Weight::kBytes;

  template <uint32_t T>
  static void group(const uint8_t* blocks, const uint8_t* activation, uint64_t act_stride, __m512 (&sums)[T]) {
    SmallWeights w;
    Weight::load(blocks, w);
    const Bytes<Weight::kSigned> first(joined(w.first[0], w.first[1])), second(joined(w.second[0], w.second[1]));
    const __m512 scales = spread_lanes(w.first_scales);
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) {
      const auto& x = *reinterpret_cast<const SmallActivation*>(activation + t * act_stride);
      const __m512 x_scale = _mm512_loadu_ps(x.scale);
      const __m512i negative_sums = load64(x.negative_sums);
      __m512i products = Weight::kOffset ? _mm512_slli_epi32(negative_sums, Weight::kOffsetBits) : _mm512_setzero_si512();
      products = _mm512_dpbusd_epi32(products, first.magnitudes, first.turned(load64(x.first)));
      if constexpr (Weight::kTwoScales) {
        const __m512i more = _mm512_dpbusd_epi32(_mm512_setzero_si512(), second.magnitudes, second.turned(load64(x.second)));
        const __m512 second_scale = _mm512_mul_ps(spread_lanes(w.second_scales), x_scale);
        sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(more), second_scale, sums[t]);
      } else {
        products = _mm512_dpbusd_epi32(products, second.magnitudes, second.turned(load64(x.second)));
      }
      sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products), _mm512_mul_ps(scales, x_scale), sums[t]);
      if (Weight::kMins) sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(negative_sums), _mm512_mul_ps(spread_lanes(w.mins), x_scale), sums[t]);
    }
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m512 sums[T];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = _mm512_setzero_ps();
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
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = _mm512_reduce_add_ps(sums[t]);
  }
};

// From eight 16-bit scales repeated in each 128-bit lane: scale k, k + 1, k + 4, k + 5 all over lane 0, 1, 2, 3.
template <int k>
__m512i pick_scales(__m512i eight) {
  const auto pair = [](int at) { return (2 * at | (2 * at + 1) << 8) * 0x00010001; };
  const __m512i kPick = _mm512_set_epi32(pair(k + 5), pair(k + 5), pair(k + 5), pair(k + 5), pair(k + 4), pair(k + 4), pair(k + 4), pair(k + 4),  //
                                         pair(k + 1), pair(k + 1), pair(k + 1), pair(k + 1), pair(k), pair(k), pair(k), pair(k));
  return _mm512_shuffle_epi8(eight, kPick);
}

template <class Weight>
struct SuperDot {
  static constexpr uint32_t kTokens = 8;

  // Places 2 i and 2 i + 1 are groups 0 2, 1 3, 4 6, 5 7.
  static void spread_scales(__m256i scales, __m512i (&out)[4]) {
    const __m512i all = _mm512_castsi256_si512(scales);
    const __m512i low = _mm512_shuffle_i64x2(all, all, 0x00), high = _mm512_shuffle_i64x2(all, all, 0x55);
    out[0] = pick_scales<0>(low);
    out[1] = pick_scales<2>(low);
    out[2] = pick_scales<0>(high);
    out[3] = pick_scales<2>(high);
  }

  template <uint32_t T>
  static void block(const uint8_t* row, const uint8_t* activation, uint64_t act_stride, __m512 (&sums)[T]) {
    SuperWeights w;
    Weight::load(row, w);
    __m512i scales[4];
    spread_scales(w.scales, scales);
    using Pair = Bytes<Weight::kSigned>;
    const Pair bytes[4] = {Pair(joined(w.quants[0], w.quants[1])), Pair(joined(w.quants[2], w.quants[3])),
                           Pair(joined(w.quants[4], w.quants[5])), Pair(joined(w.quants[6], w.quants[7]))};
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) {
      const auto& x = *reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
      __m512i total = _mm512_setzero_si512();
      if (Weight::kMins != Mins::kNone) {
        const __m512i lows = _mm512_zextsi256_si512(_mm256_madd_epi16(w.mins, load32(x.sums16)));
        if (Weight::kMins == Mins::kSameScale) total = _mm512_sub_epi32(total, lows);
        else sums[t] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(lows), _mm512_set1_ps(w.dmin * x.scale), sums[t]);
      }
      HOTSET_UNROLL
      for (uint32_t i = 0; i < 4; ++i) {
        const __m512i pairs = _mm512_maddubs_epi16(bytes[i].magnitudes, bytes[i].turned(load64(x.values[2 * i])));
        total = _mm512_dpwssd_epi32(total, pairs, scales[i]);
      }
      sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), _mm512_set1_ps(w.d * x.scale), sums[t]);
    }
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    __m512 sums[T];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = _mm512_setzero_ps();
    for (uint32_t i = cols / SuperActivation::kValues; i > 0; --i, row += Weight::kBytes, activation += sizeof(SuperActivation)) {
      prefetch<Weight::kBytes>(row);
      block<T>(row, activation, act_stride, sums);
    }
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = _mm512_reduce_add_ps(sums[t]);
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

void multiply_rare_avx512(BlockType type, const void* rows, uint64_t row_bytes, uint32_t row_count, uint32_t cols, const void* activations,
                          uint64_t act_stride, uint32_t tokens, float* out, uint64_t out_stride) {
  const Product product = {static_cast<const uint8_t*>(rows), row_bytes, row_count, cols, static_cast<const uint8_t*>(activations),
                           act_stride, tokens, out, out_stride};
  with_rare_type(type, Multiply{product});
}

}  // namespace hotset::cpu
