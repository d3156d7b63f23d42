// Routed experts on the CPU: out += weight * (down hidden + bias), hidden = glu(gate x + bias, up x + bias) as ExpertShape
// (runtime/compute/ops.h) says, from the bytes as they lie in the model file.
//
// All memory is the caller's; nothing is allocated. Sums do not depend on how the work is split over threads: each product is
// summed as dot.h says, and the experts' parts are added in the order of the list.
#pragma once

#include <cstdint>
#include <span>

#include "platform/thread_pool.h"
#include "runtime/compute/cpu/dot.h"
#include "runtime/compute/ops.h"

namespace hotset::cpu {

// What all experts of a layer share.
struct ExpertLayout {
  uint32_t embd = 0;
  uint32_t ff = 0;
  BlockType gate_type = BlockType::kF32;  // gate and up: [ff][embd]
  BlockType up_type = BlockType::kF32;
  BlockType down_type = BlockType::kF32;  // [embd][ff]
  Glu glu = {};
  bool has_gate = true;          // else hidden = f(up x + bias)
  bool weight_on_input = false;  // the weight multiplies gate x and up x, in place of the output
};

// A chosen expert: where its matrices lie, and how much of it the output takes.
struct ChosenExpert {
  const void* gate = nullptr;
  const void* up = nullptr;
  const void* down = nullptr;
  float weight = 0;
  const float* gate_bias = nullptr;  // [ff]; nullptr: none
  const float* up_bias = nullptr;    // [ff]
  const float* down_bias = nullptr;  // [embd]
};

// The token's prepared activation (dot.h) for the types of gate (where there is one) and up; the same memory where
// same_activation() says so.
struct ExpertInput {
  const void* for_gate = nullptr;
  const void* for_up = nullptr;
};

// Error (kInvalidArgument): a width that is not a whole number of blocks of its matrices' types.
Status check_layout(const ExpertLayout& layout);

// Bytes of scratch for `experts` experts at once, a multiple of 64. Scratch begins at a multiple of 64.
uint64_t expert_scratch_bytes(const ExpertLayout& layout, uint32_t experts);

// out[embd] += the experts' weighted outputs for one token. The layout has passed check_layout().
void run_experts(const ExpertLayout& layout, std::span<const ChosenExpert> experts, const ExpertInput& input, float* out, void* scratch);

// The same, bit for bit, on all threads of the pool: rows of gate and up, then rows of down. Must not be called inside a run.
void run_experts(ThreadPool& pool, const ExpertLayout& layout, std::span<const ChosenExpert> experts, const ExpertInput& input, float* out,
                 void* scratch);

}  // namespace hotset::cpu
