// The kernels of recurrent_kernels.h in terms of float_lanes.h: included once by the file of each instruction set.
#pragma once

#include "runtime/compute/cpu/float_lanes.h"
#include "runtime/compute/cpu/recurrent_kernels.h"

namespace hotset::cpu {
namespace {

inline Floats load_some(const float* at, uint32_t lanes) { return lanes >= kLanes ? load(at) : load_first(at, lanes); }
inline void store_some(float* at, Floats value, uint32_t lanes) {
  if (lanes >= kLanes) store(at, value);
  else store_first(at, value, lanes);
}

void convolve(const float* const* rows, const float* taps, const float* bias, uint32_t kernel, bool silu, float* out, uint32_t count) {
  for (uint32_t i = 0; i < count; i += kLanes) {
    const uint32_t lanes = count - i;
    Floats sum = bias != nullptr ? load_some(bias + i, lanes) : Floats{};
    for (uint32_t j = 0; j < kernel; ++j) sum = fma(load_some(taps + j * count + i, lanes), load_some(rows[j] + i, lanes), sum);
    if (silu) sum = sum / (exp_of(-sum) + 1.0f);
    store_some(out + i, sum, lanes);
  }
}

// What S shrinks by at a token, for each key dim.
inline void find_factors(const HeadRun& run, uint32_t token, float* factors) {
  const bool by_key = run.decay.at != nullptr && run.decay_by_key;
  Floats all = splat(1.0f);
  if (run.decay.at != nullptr && !by_key) all = exp_of(splat(*row_of(run.decay, token)));
  for (uint32_t i = 0; i < run.key_dim; i += kLanes) {
    store(factors + i, by_key ? exp_of(load_some(row_of(run.decay, token) + i, run.key_dim - i)) : all);
  }
}

// kVectors of columns from `column` on. One walk over S a token: while a token's S is made, what the next one finds there (its
// k S) is summed as well; the first token's is found beforehand in the same way.
template <bool kDelta, int kVectors>
void attend_columns(const HeadRun& run, uint32_t column) {
  const uint32_t keys = run.key_dim, last = run.n - 1;
  float* const s = run.s + column;
  float *factors = run.factors, *next_factors = factors + factor_floats(keys);
  find_factors(run, 0, factors);
  Floats found[kVectors] = {};
  for (uint32_t i = 0; kDelta && i < keys; ++i) {
    const Floats k = splat(row_of(run.k, 0)[i]);
#pragma GCC unroll 4
    for (uint32_t j = 0; j < kVectors; ++j) found[j] = fma(k, load(s + i * kStateColumns + j * kLanes) * factors[i], found[j]);
  }
  for (uint32_t t = 0; t < run.n; ++t) {
    const uint32_t next = t < last ? t + 1 : last;
    find_factors(run, next, next_factors);
    const float *k = row_of(run.k, t), *q = row_of(run.q, t), *next_k = row_of(run.k, next);
    const float beta = run.beta.at != nullptr ? *row_of(run.beta, t) : 1.0f;
    Floats u[kVectors], sums[kVectors] = {};
#pragma GCC unroll 4
    for (uint32_t j = 0; j < kVectors; ++j) {
      u[j] = (load_some(row_of(run.v, t) + column + j * kLanes, run.columns - column - j * kLanes) - found[j]) * beta;
      found[j] = Floats{};
    }
    for (uint32_t i = 0; i < keys; ++i) {
      float* const row = s + i * kStateColumns;
#pragma GCC unroll 4
      for (uint32_t j = 0; j < kVectors; ++j) {
        const Floats made = fma(splat(k[i]), u[j], load(row + j * kLanes) * factors[i]);
        store(row + j * kLanes, made);
        sums[j] = fma(splat(q[i]), made, sums[j]);
        if (kDelta) found[j] = fma(splat(next_k[i]), made * next_factors[i], found[j]);
      }
    }
#pragma GCC unroll 4
    for (uint32_t j = 0; j < kVectors; ++j) {
      store_some(run.out + t * run.out_stride + column + j * kLanes, sums[j] * run.scale, run.columns - column - j * kLanes);
    }
    float* const used = factors;
    factors = next_factors;
    next_factors = used;
  }
}

template <bool kDelta>
void attend_all(const HeadRun& run) {
  uint32_t column = 0;
  for (; column + 4 * kLanes <= run.columns; column += 4 * kLanes) attend_columns<kDelta, 4>(run, column);
  for (; column < run.columns; column += kLanes) attend_columns<kDelta, 1>(run, column);
}

void linear_attention(const HeadRun& run) {
  if (run.delta) attend_all<true>(run);
  else attend_all<false>(run);
}

void selective_scan(const ScanRun& run) {
  for (uint32_t t = 0; t < run.n; ++t) {
    for (uint32_t c = 0; c < run.channels; ++c) {
      const float x = row_of(run.x, t)[c], dt = row_of(run.dt, t)[c];
      const float* const a = run.a + c * run.state_dim;
      float* const state = run.state + c * run.state_dim;
      Floats sum = {};
      for (uint32_t i = 0; i < run.state_dim; i += kLanes) {
        const uint32_t lanes = run.state_dim - i;
        const Floats kept = exp_of(load_some(a + i, lanes) * dt) * load_some(state + i, lanes);
        const Floats s = fma(splat(dt * x), load_some(row_of(run.b, t) + i, lanes), kept);
        store_some(state + i, s, lanes);
        sum = fma(load_some(row_of(run.c, t) + i, lanes), s, sum);
      }
      run.out[t * run.out_stride + c] = sum_of_all(sum) + run.d[c] * x;
    }
  }
}

}  // namespace
}  // namespace hotset::cpu
