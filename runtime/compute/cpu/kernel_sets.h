// The sets of kernels this build holds; dot.cc chooses among them. Each set's file is compiled for its instruction set and must
// not be entered on a machine without it.
#pragma once

#include "runtime/compute/cpu/dot.h"

namespace hotset::cpu {

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#elif defined(__aarch64__)
extern const Kernels kNeonKernels;
#endif

}  // namespace hotset::cpu
