// Model: what a decoder needs of an opened model, as references. Everything outlives the decoder.
#pragma once

#include <vector>

#include "offload/expert_table.h"
#include "offload/residency.h"
#include "runtime/compute/programs.h"
#include "runtime/model/dense_weights.h"
#include "runtime/model/model_spec.h"
#include "runtime/model/workspace.h"

namespace hotset {

struct Model {
  Device& device;
  Programs& programs;
  const ModelSpec& spec;
  const DenseWeights& weights;
  const ExpertTable& experts;
  Residency& residency;
  uint64_t device_table = 0;  // address of the residency's table, uint64 [layers][experts]
};

// Makes compute submits wait for the copies of the transfer queue. A copy that the host has seen finished still needs the wait
// once: only that makes its bytes visible to shaders (Vulkan specification, "Semaphore Signaling"). One a pass.
class TransferFence {
 public:
  explicit TransferFence(Device& device) : device_(device) {}

  // What the next submit waits for: the transfers since the last call, or nothing.
  std::span<const TimelinePoint> next() {
    const TimelinePoint last = device_.transfer().last_point();
    if (last.value == point_.value) return {};
    point_ = last;
    return {&point_, 1};
  }

 private:
  Device& device_;
  TimelinePoint point_;
};

}  // namespace hotset
