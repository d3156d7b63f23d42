#include "offload/slot_plan.h"

#include <algorithm>

#include "platform/bytes.h"

namespace hotset {
namespace {

// Slots are planned as a share of kShares; the rest is handed out slot by slot.
constexpr uint64_t kShares = 1u << 16;

std::vector<uint32_t> slots_at_share(std::span<const SlotDemand> demands, uint64_t share) {
  std::vector<uint32_t> slots;
  for (const SlotDemand& demand : demands) slots.push_back(static_cast<uint32_t>(std::max(demand.least, demand.most * share / kShares)));
  return slots;
}

uint64_t bytes_of(std::span<const SlotDemand> demands, std::span<const uint32_t> slots) {
  uint64_t bytes = 0;
  for (size_t c = 0; c < demands.size(); ++c) bytes += slots[c] * demands[c].slot_bytes;
  return bytes;
}

// The class with the smallest share of its slots among those that one more slot fits; demands.size() when none.
size_t poorest_class(std::span<const SlotDemand> demands, std::span<const uint32_t> slots, uint64_t left_bytes) {
  size_t poorest = demands.size();
  for (size_t c = 0; c < demands.size(); ++c) {
    if (slots[c] == demands[c].most || demands[c].slot_bytes > left_bytes) continue;
    if (poorest == demands.size() || slots[c] * demands[poorest].most < slots[poorest] * demands[c].most) poorest = c;
  }
  return poorest;
}

// Device slots hold a record each.
std::vector<SlotDemand> device_demands(const ExpertTable& table, uint32_t top_k) {
  std::vector<SlotDemand> demands;
  for (uint32_t c = 0; c < table.classes(); ++c) {
    const SizeClassId id{c};
    demands.push_back({table.class_record_bytes(id), table.class_least(id, top_k), table.class_experts(id)});
  }
  return demands;
}

}  // namespace

uint64_t least_bytes(std::span<const SlotDemand> demands) {
  uint64_t bytes = 0;
  for (const SlotDemand& demand : demands) bytes += demand.least * demand.slot_bytes;
  return bytes;
}

std::vector<uint32_t> share_slots(std::span<const SlotDemand> demands, uint64_t budget_bytes) {
  uint64_t fits = 0;  // the largest share known to fit: bytes grow with the share, so halving finds it
  for (uint64_t step = kShares; step > 0; step /= 2) {
    if (fits + step <= kShares && bytes_of(demands, slots_at_share(demands, fits + step)) <= budget_bytes) fits += step;
  }
  std::vector<uint32_t> slots = slots_at_share(demands, fits);
  uint64_t left_bytes = budget_bytes - bytes_of(demands, slots);
  for (size_t c = poorest_class(demands, slots, left_bytes); c < demands.size(); c = poorest_class(demands, slots, left_bytes)) {
    ++slots[c];
    left_bytes -= demands[c].slot_bytes;
  }
  return slots;
}

uint64_t least_slot_bytes(const ExpertTable& table, uint32_t top_k) {
  HOTSET_CHECK(top_k <= table.experts());
  return least_bytes(device_demands(table, top_k));
}

Result<std::vector<uint32_t>> plan_slots(const ExpertTable& table, uint64_t budget_bytes, uint32_t top_k) {
  if (top_k > table.experts() || (top_k == 0 && table.count() != 0)) {
    return error(Code::kInvalidArgument, "%u experts used of %u: 1 to all of them work", top_k, table.experts());
  }
  const uint64_t least = least_slot_bytes(table, top_k);
  if (budget_bytes < least) {
    return error(Code::kOverBudget, "the expert cache needs at least %s (%llu bytes), twice the %u experts that a layer uses; %llu bytes are left for it",
                 format_bytes(least).c_str(), static_cast<unsigned long long>(least), top_k, static_cast<unsigned long long>(budget_bytes));
  }
  return share_slots(device_demands(table, top_k), budget_bytes);
}

namespace {

// Appends the slabs of `slots` records.
Status append_slabs(uint64_t record_bytes, uint64_t slots, uint64_t max_slab_bytes, std::vector<uint64_t>& sizes) {
  if (slots > 0 && record_bytes > max_slab_bytes) {
    return error(Code::kInvalidArgument, "an expert of %s does not fit a device buffer of at most %s", format_bytes(record_bytes).c_str(),
                 format_bytes(max_slab_bytes).c_str());
  }
  for (uint64_t left = slots; left > 0;) {
    const uint64_t here = std::min(left, max_slab_bytes / record_bytes);
    sizes.push_back(here * record_bytes);
    left -= here;
  }
  return ok_status();
}

}  // namespace

Result<std::vector<uint64_t>> plan_slabs(const ExpertTable& table, std::span<const uint32_t> slots_per_class,
                                         uint64_t max_slab_bytes) {
  HOTSET_CHECK(slots_per_class.size() == table.classes());
  std::vector<uint64_t> sizes;
  for (uint32_t c = 0; c < table.classes(); ++c) {
    HOTSET_RETURN_IF_ERROR(append_slabs(table.class_record_bytes(SizeClassId{c}), slots_per_class[c], max_slab_bytes, sizes));
  }
  return sizes;
}

Result<SlabPlan> plan_all_slabs(const ExpertTable& table, std::span<const uint32_t> slots_per_class, uint32_t top_k, uint64_t max_slab_bytes) {
  HOTSET_CHECK(slots_per_class.size() == table.classes());
  SlabPlan plan;
  for (uint32_t c = 0; c < table.classes(); ++c) {
    const SizeClassId id{c};
    const uint64_t all = table.class_experts(id);
    const uint64_t least = std::min<uint64_t>(slots_per_class[c], table.class_least(id, top_k));
    HOTSET_RETURN_IF_ERROR(append_slabs(table.class_record_bytes(id), least, max_slab_bytes, plan.slab_bytes));
    HOTSET_RETURN_IF_ERROR(append_slabs(table.class_record_bytes(id), slots_per_class[c] - least, max_slab_bytes, plan.slab_bytes));
    plan.open.resize(plan.slab_bytes.size(), true);
    HOTSET_RETURN_IF_ERROR(append_slabs(table.class_record_bytes(id), all - slots_per_class[c], max_slab_bytes, plan.slab_bytes));
    plan.open.resize(plan.slab_bytes.size(), false);
    plan.slab_classes.resize(plan.slab_bytes.size(), id);
    plan.slots_per_class.push_back(static_cast<uint32_t>(all));
  }
  return plan;
}

}  // namespace hotset
