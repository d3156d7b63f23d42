// ExpertCache: which experts one tier holds, and in which slots.
//
// Bookkeeping only: it moves no bytes. Owned by a Residency; one owner thread; nothing is allocated after creation.
// Invariants (check() proves them):
// - slot_of_[expert] == s  <=>  tenant_[s] == expert  <=>  the policy knows s as that expert's;
// - every slot is either free in the arena, or closed, or has a tenant;
// - an expert's slot is of its layer's size class;
// - a pinned slot keeps its tenant: insert(), forget() and close() never empty it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "offload/expert_table.h"
#include "offload/pins.h"
#include "offload/policy.h"
#include "offload/slot_arena.h"

namespace hotset {

class ExpertCache {
 public:
  struct Inserted {
    SlotId slot = kNoSlot;             // kNoSlot: no room, nothing changed
    std::optional<ExpertId> displaced;  // who had to go
  };

  // `table` outlives the cache; `policy` was made for the table's layers and the arena's slots.
  ExpertCache(const ExpertTable& table, SlotArena arena, std::unique_ptr<Policy> policy);

  // The slot of a resident expert, else kNoSlot.
  SlotId find(ExpertId id) const { return slot_of_[table_index(id)]; }
  ExpertId tenant(SlotId slot) const { return *tenant_[index_of(slot)]; }
  const SlotPlace& place(SlotId slot) const { return arena_.place(slot); }

  // Gives an expert that is not resident a slot. Hot: a free slot, else the policy's victim. Cold (a scan): a free slot
  // while the layer holds less than its fair share, else a cold victim, else any free slot, else the policy's victim.
  // Moving in is no use: when a decode token needs it, used_elsewhere() is told first. O(layers + pinned slots), and
  // what the policy put off until it was asked.
  Inserted insert(ExpertId id, Heat heat);

  // Empties an unpinned slot.
  void forget(SlotId slot);

  // A decode token used the slot's tenant, or an expert that has no slot; a decode token is done.
  void touch(SlotId slot) { policy_->touch(slot); }
  void used_elsewhere(ExpertId id) { policy_->used_elsewhere(id); }
  void set_floor(uint32_t floor) { policy_->set_floor(floor); }
  void end_token() { policy_->end_token(); }

  // What an expert is worth as a resident; see Policy::worth.
  double worth(ExpertId id) const { return policy_->worth(id); }
  // The slot that a hot insert of an expert that is not resident would take, when that is free or the policy holds that
  // the upload pays; else nothing.
  std::optional<SlotId> admits(ExpertId id) const;

  // Takes an unpinned slot out of service, or back into it. Whoever lived there is gone and returned.
  std::optional<ExpertId> close(SlotId slot);
  void open(SlotId slot) { arena_.open(slot); }
  void open(SlotId slot, uint64_t device_address) {
    arena_.move(slot, device_address);
    arena_.open(slot);
  }
  bool closed(SlotId slot) const { return arena_.is_closed(slot); }
  bool empty(SlotId slot) const { return !tenant_[index_of(slot)]; }

  void pin(SlotId slot) { pins_.add(slot); }
  void retire(SlotId slot, uint64_t gpu_value) { pins_.retire(slot, gpu_value); }
  void advance(uint64_t completed_value) { pins_.advance(completed_value); }
  bool pinned(SlotId slot) const { return pins_.pinned(slot); }
  uint32_t holders(SlotId slot) const { return pins_.holders(slot); }

  // Open slots of the layer's class divided by the layers of that class.
  uint32_t fair_share(uint32_t layer) const;
  uint32_t residents(uint32_t layer) const { return policy_->residents(layer); }
  uint32_t residents() const { return residents_; }
  uint32_t slots() const { return arena_.slots(); }  // closed ones too
  uint32_t open_slots(SizeClassId size_class) const { return arena_.open_slots(size_class); }
  SizeClassId size_class(SlotId slot) const { return arena_.size_class(slot); }

  // Proves the invariants. For tests; O(slots + experts).
  Status check() const;

 private:
  size_t table_index(ExpertId id) const { return size_t{id.layer} * table_.experts() + id.expert; }
  SlotId free_or_victim(uint32_t layer, Heat heat);

  const ExpertTable& table_;
  SlotArena arena_;
  std::unique_ptr<Policy> policy_;
  Pins pins_;
  std::vector<SlotId> slot_of_;                   // [layers][experts]
  std::vector<std::optional<ExpertId>> tenant_;   // [slots]
  uint32_t residents_ = 0;
};

}  // namespace hotset
