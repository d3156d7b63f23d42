// A Glu as the shaders take it: its function is a specialisation constant, its numbers are push constants.
#pragma once

#include "runtime/compute/ops.h"
#include "shaders/params.h"

namespace hotset {

inline shaders::GluNumbers glu_numbers(const Glu& glu) {
  return {glu.alpha, glu.gate_low, glu.gate_high, glu.up_low, glu.up_high, glu.up_offset};
}

}  // namespace hotset
