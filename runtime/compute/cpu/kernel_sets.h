// The sets of kernels this build holds; dot.cc chooses among them. Each set's file is compiled for its instruction set and must
// not be entered on a machine without it.
#pragma once

#include "runtime/compute/cpu/dot.h"

namespace hotset::cpu {

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
// Kernels::multiply of the types that dot_avx2.cc and dot_avx512.cc leave to files of their own.
void multiply_rare_avx2(BlockType type, const void* rows, uint64_t row_bytes, uint32_t row_count, uint32_t cols, const void* activations,
                        uint64_t act_stride, uint32_t tokens, float* out, uint64_t out_stride);
void multiply_rare_avx512(BlockType type, const void* rows, uint64_t row_bytes, uint32_t row_count, uint32_t cols, const void* activations,
                          uint64_t act_stride, uint32_t tokens, float* out, uint64_t out_stride);
#elif defined(__aarch64__)
extern const Kernels kNeonKernels;
#endif

}  // namespace hotset::cpu
