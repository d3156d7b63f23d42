// How experts differ from plain SwiGLU ones, as the shaders take it: bits of shaders/params.h.
#pragma once

#include "runtime/compute/ops.h"

namespace hotset {

// Of the products with gate and up; 0: plain.
inline uint32_t expert_up_form(const ExpertShape& shape) {
  return (shape.glu == Glu{} ? 0 : shaders::kExpertGlu) | (shape.has_gate ? 0 : shaders::kExpertGateless) |
         (shape.weight_on_input ? shaders::kExpertWeightedInput : 0) |
         (shape.gate_bias_offset == ExpertShape::kNone ? 0 : shaders::kExpertGateBias) |
         (shape.up_bias_offset == ExpertShape::kNone ? 0 : shaders::kExpertUpBias);
}

// Of the product with down, and of the sum over experts.
inline uint32_t expert_down_form(const ExpertShape& shape) {
  return (shape.weight_on_input ? shaders::kExpertWeightedInput : 0) |
         (shape.down_bias_offset == ExpertShape::kNone ? 0 : shaders::kExpertDownBias);
}

// The function that an up form makes use of; 0 where it has its own.
inline uint32_t expert_activation(const ExpertShape& shape) { return expert_up_form(shape) == 0 ? 0 : static_cast<uint32_t>(shape.glu.f); }

}  // namespace hotset
