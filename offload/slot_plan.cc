#include "offload/slot_plan.h"

#include <algorithm>

#include "platform/bytes.h"

namespace hotset {
namespace {

// Slots are planned as a share of kShares; the rest is handed out slot by slot.
constexpr uint64_t kShares = 1u << 16;

uint64_t floor_slots(const ExpertTable& table, SizeClassId id, uint32_t top_k) { return uint64_t{top_k} * table.class_layers(id); }

std::vector<uint32_t> slots_at_share(const ExpertTable& table, uint32_t top_k, uint64_t share) {
  std::vector<uint32_t> slots(table.classes());
  for (uint32_t c = 0; c < table.classes(); ++c) {
    const uint64_t experts = table.class_experts(SizeClassId{c});
    slots[c] = static_cast<uint32_t>(std::max(floor_slots(table, SizeClassId{c}, top_k), experts * share / kShares));
  }
  return slots;
}

uint64_t bytes_of(const ExpertTable& table, std::span<const uint32_t> slots) {
  uint64_t bytes = 0;
  for (uint32_t c = 0; c < table.classes(); ++c) bytes += slots[c] * table.class_record_bytes(SizeClassId{c});
  return bytes;
}

// The class with the smallest share of its experts in slots among those that one more slot fits; classes() when none.
uint32_t poorest_class(const ExpertTable& table, std::span<const uint32_t> slots, uint64_t left_bytes) {
  uint32_t poorest = table.classes();
  for (uint32_t c = 0; c < table.classes(); ++c) {
    const uint64_t experts = table.class_experts(SizeClassId{c});
    if (slots[c] == experts || table.class_record_bytes(SizeClassId{c}) > left_bytes) continue;
    if (poorest == table.classes() || slots[c] * table.class_experts(SizeClassId{poorest}) < slots[poorest] * experts) poorest = c;
  }
  return poorest;
}

}  // namespace

uint64_t least_slot_bytes(const ExpertTable& table, uint32_t top_k) {
  HOTSET_CHECK(top_k <= table.experts());
  return bytes_of(table, slots_at_share(table, top_k, 0));
}

Result<std::vector<uint32_t>> plan_slots(const ExpertTable& table, uint64_t budget_bytes, uint32_t top_k) {
  if (top_k == 0 || top_k > table.experts()) {
    return error(Code::kInvalidArgument, "%u experts used of %u: 1 to all of them work", top_k, table.experts());
  }
  const uint64_t least_bytes = least_slot_bytes(table, top_k);
  if (budget_bytes < least_bytes) {
    return error(Code::kOverBudget, "the expert cache needs at least %s (%llu bytes): %u experts in each of %u layers; %llu bytes are left for it",
                 format_bytes(least_bytes).c_str(), static_cast<unsigned long long>(least_bytes), top_k, table.layers(),
                 static_cast<unsigned long long>(budget_bytes));
  }
  uint64_t fits = 0;  // the largest share known to fit: bytes grow with the share, so halving finds it
  for (uint64_t step = kShares; step > 0; step /= 2) {
    if (fits + step <= kShares && bytes_of(table, slots_at_share(table, top_k, fits + step)) <= budget_bytes) fits += step;
  }
  std::vector<uint32_t> slots = slots_at_share(table, top_k, fits);
  uint64_t left_bytes = budget_bytes - bytes_of(table, slots);
  for (uint32_t c = poorest_class(table, slots, left_bytes); c < table.classes(); c = poorest_class(table, slots, left_bytes)) {
    ++slots[c];
    left_bytes -= table.class_record_bytes(SizeClassId{c});
  }
  return slots;
}

Result<std::vector<uint64_t>> plan_slabs(const ExpertTable& table, std::span<const uint32_t> slots_per_class,
                                         uint64_t max_slab_bytes) {
  HOTSET_CHECK(slots_per_class.size() == table.classes());
  std::vector<uint64_t> sizes;
  for (uint32_t c = 0; c < table.classes(); ++c) {
    const uint64_t record_bytes = table.class_record_bytes(SizeClassId{c});
    if (slots_per_class[c] > 0 && record_bytes > max_slab_bytes) {
      return error(Code::kInvalidArgument, "an expert of %s does not fit a device buffer of at most %s",
                   format_bytes(record_bytes).c_str(), format_bytes(max_slab_bytes).c_str());
    }
    for (uint64_t left = slots_per_class[c]; left > 0;) {
      if (sizes.empty() || max_slab_bytes - sizes.back() < record_bytes) sizes.push_back(0);
      const uint64_t here = std::min(left, (max_slab_bytes - sizes.back()) / record_bytes);
      sizes.back() += here * record_bytes;
      left -= here;
    }
  }
  return sizes;
}

}  // namespace hotset
