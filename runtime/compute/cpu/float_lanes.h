// Vectors of floats as wide as the instruction set that the including file is compiled for has them.
//
// Everything here has internal linkage: a function shared by name with a file for another instruction set might be the one
// that the linker keeps. For the same reason such files use nothing of the standard library.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace hotset::cpu {
namespace {

#if defined(__AVX512F__)
constexpr uint32_t kLanes = 16;
#elif defined(__AVX2__)
constexpr uint32_t kLanes = 8;
#else
constexpr uint32_t kLanes = 4;
#endif

// Registers are plenty where there are 32.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kWideTile = 4;
#else
constexpr int kWideTile = 2;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef float FloatsAnywhere __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef float Four __attribute__((vector_size(16)));
typedef float FourAnywhere __attribute__((vector_size(16), aligned(4), may_alias));

inline Floats load(const float* at) { return *reinterpret_cast<const FloatsAnywhere*>(at); }
inline void store(float* at, Floats value) { *reinterpret_cast<FloatsAnywhere*>(at) = value; }
inline Floats splat(float value) { return Floats{} + value; }
inline Floats max_of(Floats a, Floats b) { return a > b ? a : b; }

inline Floats fma(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}

inline float sum_of(Four v) { return (v[0] + v[2]) + (v[1] + v[3]); }

// Sums of the quarters, halves or the whole.
inline Four fold(Floats v) {
#if defined(__AVX512F__)
  const __m256 half = _mm512_castps512_ps256(v) + _mm512_extractf32x8_ps(v, 1);
  return _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1);
#elif defined(__AVX2__)
  return _mm256_castps256_ps128(v) + _mm256_extractf128_ps(v, 1);
#else
  return v;
#endif
}

inline float sum_of_all(Floats v) { return sum_of(fold(v)); }

inline float max_of_all(Floats v) {
#if defined(__AVX512F__)
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  const Four most = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#elif defined(__AVX2__)
  const Four most = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
#else
  const Four most = v;
#endif
  const float a = most[0] > most[1] ? most[0] : most[1], b = most[2] > most[3] ? most[2] : most[3];
  return a > b ? a : b;
}

// The even and the odd ones of 2 * kLanes floats.
inline void split_pairs(const float* at, Floats& even, Floats& odd) {
  const Floats low = load(at), high = load(at + kLanes);
#if defined(__AVX512F__)
  const Ints evens = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
  even = _mm512_permutex2var_ps(low, reinterpret_cast<__m512i>(evens), high);
  odd = _mm512_permutex2var_ps(low, reinterpret_cast<__m512i>(evens + 1), high);
#elif defined(__AVX2__)
  const auto in_order = [](__m256 v) { return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8)); };
  even = in_order(_mm256_shuffle_ps(low, high, 0x88));
  odd = in_order(_mm256_shuffle_ps(low, high, 0xdd));
#else
  even = __builtin_shufflevector(low, high, 0, 2, 4, 6);
  odd = __builtin_shufflevector(low, high, 1, 3, 5, 7);
#endif
}

// The sums of four vectors, each in the order of the others.
inline Four sums_of(Floats a, Floats b, Floats c, Floats d) {
#if defined(__AVX512F__)
  const __m512 ab = _mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b), cd = _mm512_unpacklo_ps(c, d) + _mm512_unpackhi_ps(c, d);
  return fold(_mm512_shuffle_ps(ab, cd, 0x44) + _mm512_shuffle_ps(ab, cd, 0xee));
#elif defined(__AVX2__)
  const __m256 ab = _mm256_unpacklo_ps(a, b) + _mm256_unpackhi_ps(a, b), cd = _mm256_unpacklo_ps(c, d) + _mm256_unpackhi_ps(c, d);
  return fold(_mm256_shuffle_ps(ab, cd, 0x44) + _mm256_shuffle_ps(ab, cd, 0xee));
#else
  return Four{sum_of(a), sum_of(b), sum_of(c), sum_of(d)};
#endif
}

// The first `count` of a vector; the others are 0.
inline Floats load_first(const float* at, uint32_t count) {
  Floats value = {};
  for (uint32_t i = 0; i < count; ++i) value[i] = at[i];
  return value;
}
inline void store_first(float* at, Floats value, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) at[i] = value[i];
}

// exp to about 2 units in the last place. Above 88 as at 88, below -87 as at -87; NaN stays.
inline Floats exp_of(Floats x) {
  x = x > 88.0f ? splat(88.0f) : x;
  x = x < -87.0f ? splat(-87.0f) : x;
  // x = n ln 2 + r with |r| <= ln 2 / 2; adding 1.5 * 2^23 rounds to a whole number.
  const Floats n = fma(x, splat(1.44269504f), splat(12582912.0f)) - 12582912.0f;
  Floats r = fma(n, splat(-0.693359375f), x);  // ln 2 in two parts, of which the first has trailing zeros
  r = fma(n, splat(2.12194440e-4f), r);
  // The series of exp: its eighth term is below 2^-27 here.
  Floats p = splat(1.0f / 5040);
  p = fma(p, r, splat(1.0f / 720));
  p = fma(p, r, splat(1.0f / 120));
  p = fma(p, r, splat(1.0f / 24));
  p = fma(p, r, splat(1.0f / 6));
  p = fma(p, r, splat(0.5f));
  p = fma(p, r, splat(1.0f));
  p = fma(p, r, splat(1.0f));
  const Ints power = (__builtin_convertvector(n, Ints) + 127) << 23;
  return p * reinterpret_cast<Floats>(power);
}

// Halves, a vector at a time.
inline Floats widen_lanes(const uint16_t* halves) {
#if defined(__AVX512F__)
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
#elif defined(__AVX2__)
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
#elif defined(__aarch64__)
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(halves)));
#else
  // Exponent and fraction moved into place and rebiased by a product, which is exact for subnormals too.
  typedef uint32_t Words __attribute__((vector_size(16)));
  const Words bits = {halves[0], halves[1], halves[2], halves[3]};
  const Words magnitude = (bits & 0x7fffu) << 13;
  const Floats scaled = reinterpret_cast<Floats>(magnitude) * 0x1p112f;
  const Words infinite = reinterpret_cast<Words>(magnitude >= (0x7c00u << 13)) & 0x7f800000u;
  return reinterpret_cast<Floats>(reinterpret_cast<Words>(scaled) | infinite | (bits & 0x8000u) << 16);
#endif
}

inline void narrow_lanes(Floats x, uint16_t* halves) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(halves), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__AVX2__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(halves), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__aarch64__)
  vst1_u16(halves, vreinterpret_u16_f16(vcvt_f16_f32(x)));
#else
  // As runtime/format/half.h, without its functions.
  for (uint32_t i = 0; i < kLanes; ++i) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, static_cast<float>(x[i]));
    const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    uint32_t rounded = (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    if (magnitude < (113u << 23)) rounded = __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, magnitude) + 0.5f) - 0x3f000000u;
    if (magnitude >= 0x477ff000u) rounded = 0x7c00u;
    if (magnitude > 0x7f800000u) rounded = 0x7e00u;
    halves[i] = static_cast<uint16_t>(sign | rounded);
  }
#endif
}

}  // namespace
}  // namespace hotset::cpu
