// What a decoder computes in float32 beside its products: norms, rotation, gating, sums, softmax and attention, one set of
// kernels per instruction set, chosen at run time.
//
// Every result is summed in an order that depends on the lengths alone. Pointers need no alignment. Any thread.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/compute/cpu/recurrent_kernels.h"

namespace hotset::cpu {

// Keys that attention takes at a time; rows of scores have this stride.
constexpr uint32_t kKeyBlock = 64;

// How far the softmax of one query over its keys has come.
struct SoftmaxState {
  float highest = -3.0e38f;
  float weight = 0;  // sum of exp(score - highest)
};

// Rows of one head in a cache of keys or values, one a token.
struct HeadRows {
  const void* at = nullptr;
  uint64_t stride = 0;  // elements from row to row
  uint32_t count = 0;
  bool halves = false;  // of 16 bits, else float32
};

struct FloatKernels {
  const char* name;  // "avx512", "avx2", "base"

  // out = x / sqrt(mean(x^2) + eps) * weight; out may be x.
  void (*rms_norm)(const float* x, const float* weight, float* out, uint32_t count, float eps);
  // One head: rms_norm where weight is given, then rotation of the pairs (i, i + rope_dim / 2) by `turns`, (cos, sin) of each,
  // where given. out may be x.
  void (*turn_head)(const float* x, const float* weight, float eps, const float* turns, uint32_t rope_dim, float* out, uint32_t count);
  // out = gate / (1 + exp(-gate)) * up; out may be one of them.
  void (*gate_up)(const float* gate, const float* up, float* out, uint32_t count);
  // out = a + b; out may be one of them.
  void (*add)(const float* a, const float* b, float* out, uint32_t count);
  // out += scale * x
  void (*add_scaled)(float scale, const float* x, float* out, uint32_t count);
  // out = exp(x - shift), 0 below e^-60; returns the sum.
  float (*exps)(const float* x, float shift, float* out, uint32_t count);
  // Between half and single precision; narrowing rounds to nearest, ties to even.
  void (*widen)(const uint16_t* halves, float* out, uint32_t count);
  void (*narrow)(const float* x, uint16_t* halves, uint32_t count);

  // Attention. Queries lie [columns][dims]; dims are a multiple of 16.
  // scores[c][k] = query c . key k, for k < keys.count <= kKeyBlock; what follows up to kKeyBlock is undefined.
  void (*score)(const float* queries, uint32_t columns, const HeadRows& keys, uint32_t dims, float* scores);
  // x = cap * tanh(x / cap)
  void (*cap)(float cap, float* x, uint32_t count);
  // Turns the scores of one query into shares exp(score - highest) after raising `state` by them; shares below e^-60 are 0.
  // Returns what earlier sums shrink by.
  float (*soften)(float* scores, uint32_t count, SoftmaxState& state);
  // sums[c] = sums[c] * shrink[c] + sum over k of shares[c][k] * values[k], in the order of keys.
  void (*gather)(const float* shares, const float* shrink, uint32_t columns, const HeadRows& values, uint32_t dims, float* sums);

  RecurrentKernels recurrent;
};

// The best set for this machine.
const FloatKernels& float_kernels();

// The sets that this machine can run, best last.
std::span<const FloatKernels* const> all_float_kernels();

}  // namespace hotset::cpu
