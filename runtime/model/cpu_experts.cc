#include "runtime/model/cpu_experts.h"

#include <algorithm>

#include "platform/bytes.h"
#include "platform/thread_pool.h"
#include "runtime/compute/cpu/expert_ffn.h"

namespace hotset {
namespace {

static_assert(sizeof(ExpertPieces::piece) == ExpertShape::kMaxPieces * sizeof(std::byte*));

constexpr uint64_t kAlignment = 64;  // of prepared activations and scratch

cpu::ExpertLayout layout_of(const ExpertShape& shape) {
  return {shape.embd, shape.ff, shape.gate_type, shape.up_type, shape.down_type, shape.glu, shape.has_gate, shape.weight_on_input};
}

const float* bias_of(const ExpertPieces& pieces, uint32_t piece) {
  return piece == ExpertShape::kNone ? nullptr : reinterpret_cast<const float*>(pieces.piece[piece]);
}

cpu::ChosenExpert chosen_of(const ExpertShape& shape, const CpuExperts::Job& job) {
  const auto& piece = job.pieces.piece;
  return {shape.has_gate ? piece[shape.gate_piece] : nullptr,
          piece[shape.up_piece] + shape.up_piece_offset,
          piece[shape.down_piece],
          job.weight,
          bias_of(job.pieces, shape.gate_bias_piece),
          bias_of(job.pieces, shape.up_bias_piece),
          bias_of(job.pieces, shape.down_bias_piece)};
}

}  // namespace

// Memory in one piece: the input prepared for gate, for up where that differs, then scratch.
struct CpuExperts::State {
  explicit State(uint32_t threads) : pool(threads) {}
  std::byte* aligned(uint64_t offset_bytes) {
    const auto base = reinterpret_cast<uintptr_t>(memory.data());
    return memory.data() + (align_up(base, kAlignment) - base) + offset_bytes;
  }

  ThreadPool pool;
  std::vector<std::byte> memory;
  uint64_t activation_bytes = 0;
  std::vector<cpu::ChosenExpert> chosen;  // capacity most_jobs
};

CpuExperts::CpuExperts(uint32_t threads, std::span<const ExpertShape> shapes, uint32_t most_jobs) : state_(std::make_unique<State>(threads)) {
  uint64_t scratch_bytes = 0;
  for (const ExpertShape& shape : shapes) {
    state_->activation_bytes = std::max({state_->activation_bytes, cpu::activation_bytes(shape.gate_type, shape.embd),
                                         cpu::activation_bytes(shape.up_type, shape.embd)});
    scratch_bytes = std::max(scratch_bytes, cpu::expert_scratch_bytes(layout_of(shape), most_jobs));
  }
  state_->memory.resize(2 * state_->activation_bytes + scratch_bytes + kAlignment);
  state_->chosen.reserve(most_jobs);
}

CpuExperts::~CpuExperts() = default;

void CpuExperts::run(const ExpertShape& shape, std::span<const Job> jobs, std::span<const float> x, std::span<float> out) {
  State& s = *state_;
  std::byte* const for_gate = s.aligned(0);
  const bool same = shape.has_gate && cpu::same_activation(shape.gate_type, shape.up_type);
  std::byte* const for_up = same ? for_gate : s.aligned(s.activation_bytes);
  if (shape.has_gate) cpu::kernels().prepare(shape.gate_type, x.data(), shape.embd, for_gate);
  if (!same) cpu::kernels().prepare(shape.up_type, x.data(), shape.embd, for_up);
  s.chosen.clear();
  for (const Job& job : jobs) s.chosen.push_back(chosen_of(shape, job));
  std::fill_n(out.begin(), shape.embd, 0.0f);
  cpu::run_experts(s.pool, layout_of(shape), s.chosen, {for_gate, for_up}, out.data(), s.aligned(2 * s.activation_bytes));
}

}  // namespace hotset
