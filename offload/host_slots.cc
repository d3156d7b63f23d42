#include "offload/host_slots.h"

#include <algorithm>

#include "offload/host_tier.h"
#include "platform/bytes.h"

namespace hotset {
namespace {

uint64_t needed_slots(const ExpertTable& table, SizeClassId id, uint32_t top_k) { return std::clamp<uint64_t>(top_k, 1, table.class_experts(id)); }

}  // namespace

Result<std::unique_ptr<HostSlots>> HostSlots::create(const ExpertTable& table, const ExpertSource& source) {
  std::unique_ptr<HostSlots> slots(new HostSlots());
  uint64_t offset_bytes = 0;
  uint64_t first_slot = 0;
  for (uint32_t c = 0; c < table.classes(); ++c) {
    const SizeClassId id{c};
    const uint64_t count = table.class_experts(id);
    const auto size_bytes = checked_multiply(count, source.slot_bytes(id));
    const auto end_bytes = size_bytes ? checked_add(offset_bytes, *size_bytes) : size_bytes;
    if (!end_bytes || first_slot + count >= UINT32_MAX) return error(Code::kOutOfMemory, "the experts are too many for any memory");
    slots->classes_.push_back({static_cast<uint32_t>(first_slot), static_cast<uint32_t>(count), source.slot_bytes(id), offset_bytes});
    offset_bytes = *end_bytes;
    first_slot += count;
  }
  HOTSET_ASSIGN(slots->arena_, HostArena::reserve(offset_bytes));
  return slots;
}

uint64_t HostSlots::offset_bytes(SlotId slot, SizeClassId size_class) const {
  const Class& of = classes_[index_of(size_class)];
  return of.offset_bytes + (index_of(slot) - of.first_slot) * of.slot_bytes;
}

std::span<std::byte> HostSlots::bytes(SlotId slot, SizeClassId size_class) const {
  return arena_->bytes().subspan(offset_bytes(slot, size_class), slot_bytes(size_class));
}

Status HostSlots::open(SlotId slot, uint32_t count, SizeClassId size_class) {
  return arena_->commit(offset_bytes(slot, size_class), count * slot_bytes(size_class));
}

void HostSlots::close(SlotId slot, SizeClassId size_class) { arena_->decommit(offset_bytes(slot, size_class), slot_bytes(size_class)); }

std::vector<SlotDemand> host_demands(const ExpertTable& table, const ExpertSource& source, uint32_t top_k) {
  std::vector<SlotDemand> demands;
  for (uint32_t c = 0; c < table.classes(); ++c) {
    demands.push_back({source.slot_bytes(SizeClassId{c}), needed_slots(table, SizeClassId{c}, top_k), table.class_experts(SizeClassId{c})});
  }
  return demands;
}

Result<std::vector<uint32_t>> plan_host_slots(std::span<const SlotDemand> demands, uint64_t budget_bytes) {
  const uint64_t least = least_bytes(demands);
  if (budget_bytes < least) {
    return error(Code::kOverBudget, "experts in RAM need at least %s (%llu bytes), what one layer uses at a time; %llu bytes were given",
                 format_bytes(least).c_str(), static_cast<unsigned long long>(least),
                 static_cast<unsigned long long>(budget_bytes));
  }
  return share_slots(demands, budget_bytes);
}

uint64_t least_host_bytes(const ExpertTable& table, uint32_t top_k) {
  uint64_t bytes = 0;
  const std::vector<uint64_t> slot_bytes = model_slot_bytes(table, kSlotAlignment);
  for (uint32_t c = 0; c < table.classes(); ++c) bytes += needed_slots(table, SizeClassId{c}, top_k) * slot_bytes[c];
  return bytes;
}

}  // namespace hotset
