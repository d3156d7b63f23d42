// CpuExperts: routed experts of one token on the CPU, out of their quantised bytes in RAM.
//
// For experts that VRAM does not hold while the GPU runs those it does. One thread calls; the work is spread over threads of
// its own. Nothing is allocated after creation. Activations are rounded to 8 bits before each product
// (runtime/compute/cpu/dot.h), so results agree with the GPU's within that, not bit for bit.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "offload/expert_pieces.h"
#include "runtime/compute/ops.h"

namespace hotset {

class CpuExperts {
 public:
  struct Job {
    ExpertPieces pieces;  // by the numbers of ExpertShape
    float weight = 0;
  };

  // For experts of at most these shapes, `most_jobs` at a time.
  CpuExperts(uint32_t threads, std::span<const ExpertShape> shapes, uint32_t most_jobs);
  ~CpuExperts();

  // out = sum over the jobs, in order, of weight * (down hidden + bias), hidden as Ops::expert_up says. x, out: float [shape.embd].
  void run(const ExpertShape& shape, std::span<const Job> jobs, std::span<const float> x, std::span<float> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hotset
