#include "offload/expert_cache.h"

namespace hotset {

ExpertCache::ExpertCache(const ExpertTable& table, SlotArena arena, std::unique_ptr<Policy> policy)
    : table_(table),
      arena_(std::move(arena)),
      policy_(std::move(policy)),
      pins_(arena_.slots()),
      slot_of_(table.entries(), kNoSlot),
      tenant_(arena_.slots()) {}

uint32_t ExpertCache::fair_share(uint32_t layer) const {
  const SizeClassId size_class = table_.size_class(layer);
  return static_cast<uint32_t>(uint64_t{arena_.open_slots(size_class)} * table_.experts(layer) / table_.class_experts(size_class));
}

// A free slot taken from the arena, or an occupied one that may be emptied, or kNoSlot.
SlotId ExpertCache::free_or_victim(uint32_t layer, Heat heat) {
  const SizeClassId size_class = table_.size_class(layer);
  if (heat == Heat::kCold && residents(layer) >= fair_share(layer)) {
    const SlotId cold = policy_->victim(layer, Heat::kCold, pins_);
    if (cold != kNoSlot) return cold;
  }
  const SlotId free = arena_.take(size_class);
  return free != kNoSlot ? free : policy_->victim(layer, Heat::kHot, pins_);
}

ExpertCache::Inserted ExpertCache::insert(ExpertId id, Heat heat) {
  HOTSET_CHECK(find(id) == kNoSlot);
  Inserted inserted;
  inserted.slot = free_or_victim(id.layer, heat);
  if (inserted.slot == kNoSlot) return inserted;
  auto& tenant = tenant_[index_of(inserted.slot)];
  if (tenant) {
    inserted.displaced = tenant;
    slot_of_[table_index(*tenant)] = kNoSlot;
    policy_->erase(inserted.slot);
    --residents_;
  }
  tenant = id;
  slot_of_[table_index(id)] = inserted.slot;
  policy_->insert(inserted.slot, id, heat);
  ++residents_;
  return inserted;
}

void ExpertCache::forget(SlotId slot) {
  HOTSET_CHECK(!pins_.pinned(slot));
  auto& tenant = tenant_[index_of(slot)];
  HOTSET_CHECK(tenant.has_value());
  slot_of_[table_index(*tenant)] = kNoSlot;
  tenant.reset();
  policy_->erase(slot);
  arena_.give_back(slot);
  --residents_;
}

std::optional<SlotId> ExpertCache::admits(ExpertId id) const {
  HOTSET_CHECK(find(id) == kNoSlot);
  const SlotId free = arena_.next(table_.size_class(id.layer));
  if (free != kNoSlot) return free;
  const SlotId victim = policy_->victim(id.layer, Heat::kHot, pins_);
  if (victim == kNoSlot || !policy_->admits(id, victim)) return std::nullopt;
  return victim;
}

std::optional<ExpertId> ExpertCache::close(SlotId slot) {
  const std::optional<ExpertId> tenant = tenant_[index_of(slot)];
  if (tenant) forget(slot);
  arena_.close(slot);
  return tenant;
}

Status ExpertCache::check() const {
  HOTSET_RETURN_IF_ERROR(policy_->check());
  uint32_t tenants = 0;
  for (uint32_t i = 0; i < slots(); ++i) {
    const SlotId slot{i};
    const auto& tenant = tenant_[i];
    const bool vacant = arena_.is_free(slot) || arena_.is_closed(slot);
    if (vacant == tenant.has_value()) return error(Code::kCorrupt, "slot %u is both vacant and taken, or neither", i);
    if (policy_->knows(slot) != tenant.has_value()) return error(Code::kCorrupt, "the policy is wrong about slot %u", i);
    if (!tenant) continue;
    ++tenants;
    if (find(*tenant) != slot) return error(Code::kCorrupt, "slot %u's tenant is looked up elsewhere", i);
    if (policy_->tenant_of(slot) != *tenant) return error(Code::kCorrupt, "the policy has another tenant in slot %u", i);
    if (arena_.size_class(slot) != table_.size_class(tenant->layer)) return error(Code::kCorrupt, "slot %u is of another size", i);
  }
  uint32_t found = 0;
  for (const SlotId slot : slot_of_) found += slot != kNoSlot ? 1 : 0;
  if (found != tenants || residents_ != tenants) {
    return error(Code::kCorrupt, "%u tenants, %u looked up, %u counted", tenants, found, residents_);
  }
  return ok_status();
}

}  // namespace hotset
