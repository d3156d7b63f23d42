// StageContext: what a run of a stage's items sees (stages.h).
#pragma once

#include <cstddef>

#include "runtime/compute/cpu/dot.h"
#include "runtime/compute/cpu/float_kernels.h"
#include "shaders/params.h"

namespace hotset::cpu {

struct StageContext {
  const Kernels& dot;
  const FloatKernels& floats;
  shaders::Control& control;
  std::byte* shared = nullptr;  // of all threads, 64-byte aligned
  std::byte* own = nullptr;     // of this thread, 64-byte aligned
};

}  // namespace hotset::cpu
