#include "runtime/engine/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "offload/slot_plan.h"
#include "platform/bytes.h"
#include "runtime/model/expert_batch.h"

namespace hotset {
namespace {

// Activations may take this share of what the dense weights and the KV cache leave.
constexpr uint64_t kWorkspaceShare = 8;

class Charges {
 public:
  explicit Charges(const DeviceMemory& memory) : memory_(memory) {}
  void add(uint64_t& sum, uint64_t size_bytes, MemoryKind kind) {
    const auto charge = memory_.charge_of(size_bytes, kind);
    if (charge.ok()) sum += *charge;
    else if (status_.ok()) status_ = charge.status();
  }
  const Status& status() const { return status_; }

 private:
  const DeviceMemory& memory_;
  Status status_;
};

// Prefill spreads tokens, and tiles of (token, slot) pairs, over the y of a grid, and keeps its activations in one buffer.
bool fits_device(const DeviceLimits& limits, const ModelSpec& spec, const ExpertTable& experts, const WorkspaceShape& shape) {
  const uint32_t tiles = ExpertBatch::max_tiles(experts.experts(), shape.batch_tokens * largest_top_k(spec), Ops::kTilePairs);
  return std::max(uint64_t{shape.batch_tokens} * largest_fold(spec), uint64_t{tiles}) <= limits.max_workgroups_y &&
         Workspace::plan(&limits, spec, shape).scratch <= limits.max_allocation_bytes;
}

// Everything but the slots, for one batch size.
Result<MemoryPlan> plan_fixed(const DeviceMemory& memory, const ModelSpec& spec, const ExpertTable& experts, const WorkspaceShape& shape) {
  MemoryPlan plan;
  plan.workspace = shape;
  Charges charges(memory);
  plan.dense_slab_bytes = DenseWeights::plan_slabs(spec, max_slab_bytes(memory.limits()));
  for (const uint64_t bytes : plan.dense_slab_bytes) charges.add(plan.dense_bytes, bytes, MemoryKind::kDevice);
  const WorkspaceBytes workspace = Workspace::plan(&memory.limits(), spec, shape);
  charges.add(plan.workspace_bytes, workspace.scratch, MemoryKind::kDevice);
  charges.add(plan.workspace_bytes, workspace.shared, MemoryKind::kShared);
  charges.add(plan.workspace_bytes, workspace.readback, MemoryKind::kReadback);
  for (const uint64_t bytes : workspace.states) charges.add(plan.kv_bytes, bytes, MemoryKind::kDevice);
  charges.add(plan.table_bytes, experts.entries() * sizeof(uint64_t), MemoryKind::kShared);
  HOTSET_RETURN_IF_ERROR(charges.status());
  return plan;
}

// Device bytes of slots: slabs with their padding.
Result<uint64_t> charge_slots(const DeviceMemory& memory, const ExpertTable& experts, uint32_t top_k, const std::vector<uint32_t>& slots,
                              MemoryPlan& plan) {
  HOTSET_ASSIGN(const SlabPlan slabs, plan_all_slabs(experts, slots, top_k, max_slot_slab_bytes(memory.limits(), experts)));
  plan.slab_bytes.clear();
  for (size_t i = 0; i < slabs.slab_bytes.size(); ++i) {
    if (slabs.open[i]) plan.slab_bytes.push_back(slabs.slab_bytes[i]);
  }
  uint64_t total = 0;
  Charges charges(memory);
  for (const uint64_t bytes : plan.slab_bytes) charges.add(total, bytes + kSlabPadding, MemoryKind::kDevice);
  HOTSET_RETURN_IF_ERROR(charges.status());
  return total;
}

// Device bytes of the slots that `slot_bytes` buy, before padding.
Result<uint64_t> charge_of_slots(const DeviceMemory& memory, const ExpertTable& experts, uint32_t top_k, uint64_t slot_bytes, MemoryPlan& plan) {
  HOTSET_ASSIGN(plan.slots_per_class, plan_slots(experts, slot_bytes, top_k));
  return charge_slots(memory, experts, top_k, plan.slots_per_class, plan);
}

// The slots that fit `available_bytes` with the padding that their slabs take. `available_bytes` holds the least.
Status plan_cache(const DeviceMemory& memory, const ExpertTable& experts, uint32_t top_k, uint64_t available_bytes, MemoryPlan& plan) {
  const uint64_t least = least_slot_bytes(experts, top_k);
  uint64_t wanted = available_bytes;
  while (true) {
    HOTSET_ASSIGN(plan.slot_bytes, charge_of_slots(memory, experts, top_k, wanted, plan));
    if (plan.slot_bytes <= available_bytes) return ok_status();
    if (wanted <= least) return error(Code::kOverBudget, "the expert slots do not fit their share of the budget");
    // Less than these slots took, so that every round ends with fewer.
    const uint64_t taken = std::accumulate(plan.slab_bytes.begin(), plan.slab_bytes.end(), uint64_t{0});
    const uint64_t excess = plan.slot_bytes - available_bytes;
    wanted = std::max(least, taken > excess ? taken - excess : 0);
  }
}

}  // namespace

uint64_t max_slab_bytes(const DeviceLimits& limits) { return std::min(kMaxSlabBytes, limits.max_allocation_bytes); }

uint64_t max_slot_slab_bytes(const DeviceLimits& limits, const ExpertTable& experts) {
  constexpr uint64_t kSteps = 16;
  const uint64_t largest = experts.classes() == 0 ? 0 : experts.class_record_bytes(SizeClassId{experts.classes() - 1});
  return std::min(max_slab_bytes(limits) - kSlabPadding, std::max(largest, experts.total_bytes() / kSteps));
}

Result<MemoryPlan> plan_memory(const DeviceMemory& memory, const ModelSpec& spec, const ExpertTable& experts, uint64_t budget_bytes,
                               const WorkspaceShape& shape) {
  const uint32_t top_k = largest_top_k(spec);
  MemoryPlan ignored;
  uint64_t least_slots = 0;
  uint64_t all_slots = 0;
  if (!memory.of_host()) {
    HOTSET_ASSIGN(least_slots, charge_of_slots(memory, experts, top_k, least_slot_bytes(experts, top_k), ignored));
    HOTSET_ASSIGN(all_slots, charge_of_slots(memory, experts, top_k, experts.total_bytes(), ignored));
  }
  WorkspaceShape least_shape = shape;
  least_shape.batch_tokens = std::min(shape.batch_tokens, kLeastBatchTokens);
  HOTSET_ASSIGN(const MemoryPlan least, plan_fixed(memory, spec, experts, least_shape));
  const uint64_t least_bytes = least.fixed_bytes() + least_slots;
  if (budget_bytes < least_bytes) {
    return error(Code::kOverBudget,
                 "a VRAM budget of %s is too small: this model with a context of %u tokens needs at least %s (%llu bytes); raise --vram or lower --ctx",
                 format_bytes(budget_bytes).c_str(), shape.context_tokens, format_bytes(least_bytes).c_str(),
                 static_cast<unsigned long long>(least_bytes));
  }
  MemoryPlan plan = least;
  for (uint32_t batch = shape.batch_tokens; batch > least_shape.batch_tokens; batch /= 2) {
    WorkspaceShape tried = shape;
    tried.batch_tokens = batch;
    if (!fits_device(memory.limits(), spec, experts, tried)) continue;
    HOTSET_ASSIGN(const MemoryPlan candidate, plan_fixed(memory, spec, experts, tried));
    const uint64_t rest = budget_bytes - std::min(budget_bytes, candidate.dense_bytes + candidate.kv_bytes + candidate.table_bytes);
    const bool fits = candidate.fixed_bytes() + least_slots <= budget_bytes;
    const bool all_fit = candidate.fixed_bytes() + all_slots <= budget_bytes;
    if (fits && (all_fit || candidate.workspace_bytes <= rest / kWorkspaceShare)) {
      plan = candidate;
      break;
    }
  }
  if (memory.of_host()) plan.slots_per_class.assign(experts.classes(), 0);
  else HOTSET_RETURN_IF_ERROR(plan_cache(memory, experts, top_k, budget_bytes - plan.fixed_bytes(), plan));
  plan.budget_bytes = budget_bytes;
  plan.least_bytes = least_bytes;
  return plan;
}

}  // namespace hotset
