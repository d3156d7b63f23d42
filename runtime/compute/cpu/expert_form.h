// What experts do between their products with gate and up and their hidden values, on the CPU. Pure functions; any thread.
#pragma once

#include "runtime/compute/cpu/activation_function.h"

namespace hotset::cpu {

// Biases of `count` hidden values; nullptr: none.
struct HiddenBiases {
  const float* gate = nullptr;
  const float* up = nullptr;
};

// out = glu(weight * gate + bias, weight * up + bias), or f of the latter where gate is nullptr. out may be gate or up.
inline void form_hidden(const Glu& glu, float weight, const float* gate, const float* up, const HiddenBiases& biases, float* out, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const float risen = weight * up[i] + (biases.up != nullptr ? biases.up[i] : 0.0f);
    if (gate == nullptr) {
      out[i] = activate(glu.f, glu.alpha, risen);
      continue;
    }
    out[i] = glu_of(glu, weight * gate[i] + (biases.gate != nullptr ? biases.gate[i] : 0.0f), risen);
  }
}

}  // namespace hotset::cpu
