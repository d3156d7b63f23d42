// HostSlots: the memory of a bounded RAM tier: a place for every expert in address space, of which only open slots are backed.
//
// Slots are numbered class by class, as many in each as the class has experts, so a budget may grow up to all of them. One owner thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "offload/expert_source.h"
#include "offload/slot_plan.h"
#include "platform/host_memory.h"

namespace hotset {

class HostSlots {
 public:
  // Reserves address space; no slot is open. Error: kOutOfMemory.
  static Result<std::unique_ptr<HostSlots>> create(const ExpertTable& table, const ExpertSource& source);

  // The first slot of a class; those of the next class follow its last.
  SlotId first(SizeClassId size_class) const { return SlotId{classes_[index_of(size_class)].first_slot}; }
  uint32_t slots(SizeClassId size_class) const { return classes_[index_of(size_class)].slots; }
  uint64_t slot_bytes(SizeClassId size_class) const { return classes_[index_of(size_class)].slot_bytes; }

  std::span<std::byte> bytes(SlotId slot, SizeClassId size_class) const;

  // Backs `count` slots from `slot` on, all of one class, with memory, or gives it back. Error: kOutOfMemory.
  Status open(SlotId slot, uint32_t count, SizeClassId size_class);
  void close(SlotId slot, SizeClassId size_class);

 private:
  struct Class {
    uint32_t first_slot = 0;
    uint32_t slots = 0;
    uint64_t slot_bytes = 0;
    uint64_t offset_bytes = 0;  // in the arena
  };
  HostSlots() = default;
  uint64_t offset_bytes(SlotId slot, SizeClassId size_class) const;

  std::vector<Class> classes_;
  std::unique_ptr<HostArena> arena_;
};

// What a budget of RAM is shared by: every class needs the `top_k` experts of a layer at once.
std::vector<SlotDemand> host_demands(const ExpertTable& table, const ExpertSource& source, uint32_t top_k);

// The slots of each class [classes] that a budget gives. Error: kOverBudget with the least that works.
Result<std::vector<uint32_t>> plan_host_slots(std::span<const SlotDemand> demands, uint64_t budget_bytes);

}  // namespace hotset
