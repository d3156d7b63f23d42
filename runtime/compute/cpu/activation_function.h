// The activations of feed-forward networks, as defined by Activation and Glu in runtime/compute/ops.h; the twin of
// shaders/activation.glsl. Pure functions; any thread.
#pragma once

#include <algorithm>
#include <cmath>

#include "runtime/compute/ops.h"

namespace hotset::cpu {

inline float activate(Activation f, float alpha, float x) {
  switch (f) {
    case Activation::kNone: break;
    case Activation::kSilu: return x / (1.0f + std::exp(-alpha * x));
    case Activation::kGelu: return x / (1.0f + std::exp(-1.5957691f * (x + 0.044715f * x * x * x)));  // (1 + tanh(y)) / 2 = sigmoid(2 y)
    case Activation::kGeluErf: return 0.5f * x * std::erfc(-x * 0.70710678f);
    case Activation::kRelu: return std::max(x, 0.0f);
    case Activation::kReluSquared: return std::max(x, 0.0f) * std::max(x, 0.0f);
    case Activation::kSigmoid: return 1.0f / (1.0f + std::exp(-alpha * x));
    case Activation::kSoftplus: return x > 20.0f ? x : std::log1p(std::exp(x));
    case Activation::kTanh: return std::tanh(alpha * x);
    case Activation::kExp: return std::exp(alpha * x);
    case Activation::kSitu: return std::tanh(alpha * x) / (alpha * (1.0f + std::exp(-x)));
  }
  return x;
}

// What up contributes: clamped, with kSitu limited by tanh.
inline float up_factor(const Glu& by, float up) {
  return (by.f == Activation::kSitu ? by.up_high * std::tanh(up / by.up_high) : std::clamp(up, by.up_low, by.up_high)) + by.up_offset;
}

inline float glu_of(const Glu& by, float gate, float up) {
  return activate(by.f, by.alpha, std::clamp(gate, by.gate_low, by.gate_high)) * up_factor(by, up);
}

}  // namespace hotset::cpu
