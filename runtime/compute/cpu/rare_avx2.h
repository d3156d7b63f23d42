// The block types of whole_blocks.h expanded with AVX2: what dot_avx2_rare.cc and dot_avx512_rare.cc multiply. Layouts:
// runtime/format/quant.h and whole_blocks.cc. Everything here has internal linkage: see activation.h.
#pragma once

#include "runtime/compute/cpu/rare_small_avx2.h"
#include "runtime/compute/cpu/rare_super_avx2.h"

namespace hotset::cpu {
namespace {

// Calls `run` with the type's struct.
template <class Run>
void with_rare_type(BlockType type, Run run) {
  switch (type) {
    case BlockType::kQ4_1: return run.template small<Q4_1>();
    case BlockType::kQ5_0: return run.template small<Q5_0>();
    case BlockType::kQ5_1: return run.template small<Q5_1>();
    case BlockType::kIQ4_NL: return run.template small<IQ4_NL>();
    case BlockType::kNVFP4: return run.template small<NVFP4>();
    case BlockType::kQ1_0: return run.template small<Q1_0>();
    case BlockType::kQ2_0: return run.template small<Q2_0>();
    case BlockType::kQ2_K: return run.template super<Q2_K>();
    case BlockType::kQ3_K: return run.template super<Q3_K>();
    case BlockType::kIQ1_S: return run.template super<IQ1_S>();
    case BlockType::kIQ1_M: return run.template super<IQ1_M>();
    case BlockType::kIQ2_XXS: return run.template super<IQ2_XXS>();
    case BlockType::kIQ2_XS: return run.template super<IQ2_XS>();
    case BlockType::kIQ2_S: return run.template super<IQ2_S>();
    case BlockType::kIQ3_XXS: return run.template super<IQ3_XXS>();
    case BlockType::kIQ3_S: return run.template super<IQ3_S>();
    case BlockType::kIQ4_XS: return run.template super<IQ4_XS>();
    case BlockType::kTQ1_0: return run.template super<TQ1_0>();
    case BlockType::kTQ2_0: return run.template super<TQ2_0>();
    default: return;
  }
}

}  // namespace
}  // namespace hotset::cpu
