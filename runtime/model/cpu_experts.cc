#include "runtime/model/cpu_experts.h"

#include <algorithm>
#include <cmath>

#include "runtime/compute/cpu/dot.h"

namespace hotset {

struct CpuExperts::State {
  std::vector<std::byte> activation;
  std::vector<float> gate;
  std::vector<float> up;
  std::vector<float> down;
};

CpuExperts::CpuExperts(uint32_t, std::span<const ExpertShape> shapes, uint32_t) : state_(std::make_unique<State>()) {
  uint64_t bytes = 0;
  uint32_t ff = 0;
  uint32_t embd = 0;
  for (const ExpertShape& shape : shapes) {
    bytes = std::max({bytes, cpu::activation_bytes(shape.gate_type, shape.embd), cpu::activation_bytes(shape.up_type, shape.embd),
                      cpu::activation_bytes(shape.down_type, shape.ff)});
    ff = std::max(ff, shape.ff);
    embd = std::max(embd, shape.embd);
  }
  state_->activation.resize(bytes + 64);
  state_->gate.resize(ff);
  state_->up.resize(ff);
  state_->down.resize(embd);
}

CpuExperts::~CpuExperts() = default;

void CpuExperts::run(const ExpertShape& shape, std::span<const Job> jobs, std::span<const float> x, std::span<float> out) {
  const cpu::Kernels& kernels = cpu::kernels();
  State& s = *state_;
  std::byte* const activation = s.activation.data() + (64 - reinterpret_cast<uintptr_t>(s.activation.data()) % 64) % 64;
  const auto product = [&](BlockType type, const std::byte* rows, uint32_t count, uint32_t cols, const float* input, float* output) {
    kernels.prepare(type, input, cols, activation);
    kernels.multiply(type, rows, row_bytes(type, cols).value(), count, cols, activation, 0, 1, output, 0);
  };
  std::fill_n(out.begin(), shape.embd, 0.0f);
  for (const Job& job : jobs) {
    product(shape.gate_type, job.pieces.piece[0], shape.ff, shape.embd, x.data(), s.gate.data());
    product(shape.up_type, job.pieces.piece[1], shape.ff, shape.embd, x.data(), s.up.data());
    for (uint32_t i = 0; i < shape.ff; ++i) s.gate[i] = s.gate[i] / (1.0f + std::exp(-s.gate[i])) * s.up[i];
    product(shape.down_type, job.pieces.piece[2], shape.embd, shape.ff, s.gate.data(), s.down.data());
    for (uint32_t i = 0; i < shape.embd; ++i) out[i] += job.weight * s.down[i];
  }
}

}  // namespace hotset
