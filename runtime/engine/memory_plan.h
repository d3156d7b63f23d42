// MemoryPlan: how a VRAM budget is divided before anything is allocated.
//
// First come the dense weights, the KV cache and the activations; the expert slots take what is left. The batch is halved
// until that leaves the experts most of the rest: a smaller batch never changes results (ops.h). Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "offload/expert_table.h"
#include "platform/vulkan/memory.h"
#include "runtime/model/dense_weights.h"
#include "runtime/model/model_spec.h"
#include "runtime/model/workspace.h"

namespace hotset {

struct MemoryPlan {
  uint64_t budget_bytes = 0;
  uint64_t dense_bytes = 0;      // device bytes, with the driver's padding, as are the next four
  uint64_t workspace_bytes = 0;  // activations and shared blocks
  uint64_t kv_bytes = 0;
  uint64_t table_bytes = 0;      // the device's expert table
  uint64_t slot_bytes = 0;       // the expert cache
  WorkspaceShape workspace;
  std::vector<uint32_t> slots_per_class;
  std::vector<uint64_t> slab_bytes;        // of the slots, without kSlabPadding
  std::vector<uint64_t> dense_slab_bytes;
  uint64_t least_bytes = 0;                // the smallest budget that works with this context

  uint64_t fixed_bytes() const { return dense_bytes + workspace_bytes + kv_bytes + table_bytes; }
};

// Kernels may load a whole word around the last bytes of a record.
constexpr uint64_t kSlabPadding = 256;
constexpr uint64_t kMaxSlabBytes = 1ull << 30;
constexpr uint32_t kLeastBatchTokens = 8;

// `shape.batch_tokens` is the most wanted. In host memory there are no slots: the CPU runs experts where RAM holds them.
// Error: kOverBudget, naming the least budget that works.
Result<MemoryPlan> plan_memory(const DeviceMemory& memory, const ModelSpec& spec, const ExpertTable& experts, uint64_t budget_bytes,
                               const WorkspaceShape& shape);

// The largest slab on this device.
uint64_t max_slab_bytes(const DeviceLimits& limits);

// The largest slab of expert slots: small enough that a budget can be followed in steps of a sixteenth of the experts.
uint64_t max_slot_slab_bytes(const DeviceLimits& limits, const ExpertTable& experts);

}  // namespace hotset
