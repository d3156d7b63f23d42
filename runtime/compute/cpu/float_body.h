// The kernels of float_kernels.h in terms of float_lanes.h: included once by the file of each instruction set.
#pragma once

#include "runtime/compute/cpu/float_kernels.h"
#include "runtime/compute/cpu/float_lanes.h"
#include "runtime/compute/cpu/recurrent_body.h"

namespace hotset::cpu {
namespace {

constexpr float kLowest = -3.0e38f;
// Shares below e^-60 cannot change a float sum; as 0 they make no subnormal products, which are slow.
constexpr float kLeastExponent = -60.0f;

// Calls visit(i, lanes) for each whole vector and the rest of `count`.
template <class Visit>
inline void for_lanes(uint32_t count, Visit visit) {
  uint32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) visit(i, kLanes);
  if (i < count) visit(i, count - i);
}
inline Floats load(const float* at, uint32_t lanes) { return lanes == kLanes ? load(at) : load_first(at, lanes); }
inline void store(float* at, Floats value, uint32_t lanes) {
  if (lanes == kLanes) store(at, value);
  else store_first(at, value, lanes);
}

float sum_of_squares(const float* x, uint32_t count) {
  Floats sums[4] = {};
  uint32_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    for (uint32_t j = 0; j < 4; ++j) {
      const Floats v = load(x + i + j * kLanes);
      sums[j] = fma(v, v, sums[j]);
    }
  }
  for_lanes(count - i, [&](uint32_t at, uint32_t lanes) {
    const Floats v = load(x + i + at, lanes);
    sums[0] = fma(v, v, sums[0]);
  });
  return sum_of_all((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

void rms_norm(const float* x, const float* weight, float* out, uint32_t count, float eps) {
  const float scale = 1.0f / __builtin_sqrtf(sum_of_squares(x, count) / static_cast<float>(count) + eps);
  for_lanes(count, [&](uint32_t i, uint32_t lanes) { store(out + i, load(x + i, lanes) * scale * load(weight + i, lanes), lanes); });
}

// Of `lanes` pairs (cos, sin).
void load_turns(const float* turns, uint32_t lanes, Floats& cosines, Floats& sines) {
  if (lanes == kLanes) return split_pairs(turns, cosines, sines);
  for (uint32_t i = 0; i < lanes; ++i) {
    cosines[i] = turns[2 * i];
    sines[i] = turns[2 * i + 1];
  }
}

void turn_head(const float* x, const float* weight, float eps, const float* turns, uint32_t rope_dim, float* out, uint32_t count) {
  if (weight != nullptr) rms_norm(x, weight, out, count, eps);
  else if (out != x) for_lanes(count, [&](uint32_t i, uint32_t lanes) { store(out + i, load(x + i, lanes), lanes); });
  if (turns == nullptr) return;
  float* second = out + rope_dim / 2;
  for_lanes(rope_dim / 2, [&](uint32_t i, uint32_t lanes) {
    Floats cosines = {}, sines = {};
    load_turns(turns + 2 * i, lanes, cosines, sines);
    const Floats a = load(out + i, lanes), b = load(second + i, lanes);
    store(out + i, a * cosines - b * sines, lanes);
    store(second + i, a * sines + b * cosines, lanes);
  });
}

void gate_up(const float* gate, const float* up, float* out, uint32_t count) {
  for_lanes(count, [&](uint32_t i, uint32_t lanes) {
    const Floats g = load(gate + i, lanes);
    store(out + i, g / (exp_of(-g) + 1.0f) * load(up + i, lanes), lanes);
  });
}

void add(const float* a, const float* b, float* out, uint32_t count) {
  for_lanes(count, [&](uint32_t i, uint32_t lanes) { store(out + i, load(a + i, lanes) + load(b + i, lanes), lanes); });
}

void add_scaled(float scale, const float* x, float* out, uint32_t count) {
  for_lanes(count, [&](uint32_t i, uint32_t lanes) { store(out + i, fma(splat(scale), load(x + i, lanes), load(out + i, lanes)), lanes); });
}

inline Floats share_of(Floats exponent) { return exponent > kLeastExponent ? exp_of(exponent) : splat(0); }

float exps(const float* x, float shift, float* out, uint32_t count) {
  Floats sum = {};
  float rest = 0;
  for_lanes(count, [&](uint32_t i, uint32_t lanes) {
    const Floats value = share_of(load(x + i, lanes) - shift);
    store(out + i, value, lanes);
    if (lanes == kLanes) sum += value;
    else for (uint32_t j = 0; j < lanes; ++j) rest += value[j];
  });
  return sum_of_all(sum) + rest;
}

void widen(const uint16_t* halves, float* out, uint32_t count) {
  uint32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(out + i, widen_lanes(halves + i));
  if (i == count) return;
  uint16_t rest[kLanes] = {};
  for (uint32_t j = i; j < count; ++j) rest[j - i] = halves[j];
  store_first(out + i, widen_lanes(rest), count - i);
}

void narrow(const float* x, uint16_t* halves, uint32_t count) {
  uint32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) narrow_lanes(load(x + i), halves + i);
  if (i == count) return;
  uint16_t rest[kLanes];
  narrow_lanes(load_first(x + i, count - i), rest);
  for (uint32_t j = i; j < count; ++j) halves[j] = rest[j - i];
}

// ---- attention

template <bool kHalves>
struct RowReader {
  using Element = float;
  static Floats lanes(const Element* at) { return load(at); }
};
template <>
struct RowReader<true> {
  using Element = uint16_t;
  static Floats lanes(const Element* at) { return widen_lanes(at); }
};

// Calls visit for all columns, as many at a time as registers allow: visit(first column, how many as a type).
template <int kCount>
struct Columns {
  static constexpr int value = kCount;
};
template <class Visit>
inline void for_columns(uint32_t columns, Visit visit) {
  uint32_t c = 0;
  for (; c + kWideTile <= columns; c += kWideTile) visit(c, Columns<kWideTile>());
  if (kWideTile == 4 && c + 2 <= columns) {
    visit(c, Columns<2>());
    c += 2;
  }
  for (; c < columns; ++c) visit(c, Columns<1>());
}

// Four keys at a time; past the last one it is repeated.
template <int kColumns, bool kHalves>
void score_columns(const float* queries, const HeadRows& keys, uint32_t dims, float* scores) {
  using Reader = RowReader<kHalves>;
  const auto* first = static_cast<const typename Reader::Element*>(keys.at);
  for (uint32_t key = 0; key < keys.count; key += 4) {
    const typename Reader::Element* rows[4];
    for (uint32_t j = 0; j < 4; ++j) rows[j] = first + (key + j < keys.count ? key + j : keys.count - 1) * keys.stride;
    Floats sums[kColumns][4] = {};
    for (uint32_t d = 0; d < dims; d += kLanes) {
      const Floats k[4] = {Reader::lanes(rows[0] + d), Reader::lanes(rows[1] + d), Reader::lanes(rows[2] + d), Reader::lanes(rows[3] + d)};
#pragma GCC unroll 4
      for (int c = 0; c < kColumns; ++c) {
        const Floats q = load(queries + static_cast<uint32_t>(c) * dims + d);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) sums[c][j] = fma(q, k[j], sums[c][j]);
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) {
      *reinterpret_cast<FourAnywhere*>(scores + static_cast<uint32_t>(c) * kKeyBlock + key) = sums_of(sums[c][0], sums[c][1], sums[c][2], sums[c][3]);
    }
  }
}

void score(const float* queries, uint32_t columns, const HeadRows& keys, uint32_t dims, float* scores) {
  for_columns(columns, [&](uint32_t c, auto count) {
    if (keys.halves) score_columns<count.value, true>(queries + c * dims, keys, dims, scores + c * kKeyBlock);
    else score_columns<count.value, false>(queries + c * dims, keys, dims, scores + c * kKeyBlock);
  });
}

void cap(float most, float* x, uint32_t count) {
  for_lanes(count, [&](uint32_t i, uint32_t lanes) {
    // tanh(y) = 1 - 2 / (exp(2 y) + 1)
    const Floats power = exp_of(load(x + i, lanes) * (2.0f / most));
    store(x + i, most - 2.0f * most / (power + 1.0f), lanes);
  });
}

float soften(float* scores, uint32_t count, SoftmaxState& state) {
  const uint32_t whole = (count + kLanes - 1) / kLanes * kLanes;
  for (uint32_t i = count; i < whole; ++i) scores[i] = kLowest;
  Floats most = splat(state.highest);
  for (uint32_t i = 0; i < whole; i += kLanes) most = max_of(load(scores + i), most);
  const float highest = max_of_all(most);
  Floats weight = {};
  for (uint32_t i = 0; i < whole; i += kLanes) {
    const Floats share = share_of(load(scores + i) - highest);
    store(scores + i, share);
    weight += share;
  }
  const float shrink = highest == state.highest ? 1.0f : share_of(splat(state.highest - highest))[0];
  state.highest = highest;
  state.weight = state.weight * shrink + sum_of_all(weight);
  return shrink;
}

// Dims d .. d + kVectors * kLanes of the columns.
template <int kColumns, int kVectors, bool kHalves>
void gather_tile(const float* shares, const float* shrink, const HeadRows& values, uint32_t d, uint32_t dims, float* sums) {
  using Reader = RowReader<kHalves>;
  const auto* row = static_cast<const typename Reader::Element*>(values.at) + d;
  Floats all[kColumns][kVectors];
#pragma GCC unroll 4
  for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) all[c][v] = load(sums + static_cast<uint32_t>(c) * dims + d + static_cast<uint32_t>(v) * kLanes) * shrink[c];
  }
  for (uint32_t key = 0; key < values.count; ++key, row += values.stride) {
    Floats lanes[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) lanes[v] = Reader::lanes(row + static_cast<uint32_t>(v) * kLanes);
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) {
      const Floats share = splat(shares[static_cast<uint32_t>(c) * kKeyBlock + key]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) all[c][v] = fma(share, lanes[v], all[c][v]);
    }
  }
#pragma GCC unroll 4
  for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store(sums + static_cast<uint32_t>(c) * dims + d + static_cast<uint32_t>(v) * kLanes, all[c][v]);
  }
}

template <int kColumns, bool kHalves>
void gather_columns(const float* shares, const float* shrink, const HeadRows& values, uint32_t dims, float* sums) {
  uint32_t d = 0;
  for (; d + 4 * kLanes <= dims; d += 4 * kLanes) gather_tile<kColumns, 4, kHalves>(shares, shrink, values, d, dims, sums);
  for (; d < dims; d += kLanes) gather_tile<kColumns, 1, kHalves>(shares, shrink, values, d, dims, sums);
}

void gather(const float* shares, const float* shrink, uint32_t columns, const HeadRows& values, uint32_t dims, float* sums) {
  for_columns(columns, [&](uint32_t c, auto count) {
    if (values.halves) gather_columns<count.value, true>(shares + c * kKeyBlock, shrink + c, values, dims, sums + c * dims);
    else gather_columns<count.value, false>(shares + c * kKeyBlock, shrink + c, values, dims, sums + c * dims);
  });
}

constexpr FloatKernels make_set(const char* name) {
  return {name, rms_norm, turn_head, gate_up, add, add_scaled, exps, widen, narrow, score, cap, soften, gather, {convolve, linear_attention, selective_scan}};
}

}  // namespace
}  // namespace hotset::cpu
