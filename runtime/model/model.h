// Model: what a decoder needs of an opened model, as references. Everything outlives the decoder.
#pragma once

#include <vector>

#include "offload/expert_table.h"
#include "offload/residency.h"
#include "runtime/compute/backend.h"
#include "runtime/model/dense_weights.h"
#include "runtime/model/model_spec.h"
#include "runtime/model/workspace.h"

namespace hotset {

class CpuExperts;
class Prefetch;

struct Model {
  Backend& backend;
  const ModelSpec& spec;
  const DenseWeights& weights;
  const ExpertTable& experts;
  Residency& residency;
  CpuExperts* cpu_experts = nullptr;  // runs experts that Residency leaves on the host; nullptr: it leaves none there
  Prefetch* prefetch = nullptr;       // nullptr: nothing is guessed
  uint64_t device_table = 0;  // address of the residency's table, uint64 [layers][experts]
};

}  // namespace hotset
