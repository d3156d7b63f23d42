// SlotArena: fixed places for expert records in device memory, per size class, and which of them are free.
//
// The memory is the caller's: it hands over slabs as numbers (address, size, its own id) and keeps them alive. A slot lies
// in one slab. A slot may be closed (its memory is not ours for now) and opened again: what is created is the most that
// there will ever be. Nothing is allocated after create(); every call is O(1). One owner thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "offload/expert.h"
#include "offload/expert_table.h"
#include "platform/status.h"

namespace hotset {

struct Slab {
  SlabId id{0};
  uint64_t device_address = 0;  // kRecordAlignment aligned
  uint64_t size_bytes = 0;
};

struct SlotPlace {
  SlabId slab{0};
  uint64_t offset_bytes = 0;    // from the slab's start
  uint64_t device_address = 0;  // of the slot
};

class SlotArena {
 public:
  // Lays out the slots in the order of classes and slabs, as plan_slabs (slot_plan.h) does. Errors (kInvalidArgument): slabs too small,
  // misaligned or without an address.
  static Result<SlotArena> create(const ExpertTable& table, std::span<const uint32_t> slots_per_class, std::span<const Slab> slabs);

  // A free slot of the class, or kNoSlot. The one given back last comes first.
  SlotId take(SizeClassId size_class);
  void give_back(SlotId slot);
  // What take() would return.
  SlotId next(SizeClassId size_class) const;

  // A free slot is never handed out until it is opened again.
  void close(SlotId slot);
  void open(SlotId slot);
  // The memory of a closed slot lies at another address now.
  void move(SlotId slot, uint64_t device_address) {
    HOTSET_CHECK(is_closed(slot));
    places_[index_of(slot)].device_address = device_address;
  }

  const SlotPlace& place(SlotId slot) const { return places_[index_of(slot)]; }
  SizeClassId size_class(SlotId slot) const { return classes_[index_of(slot)]; }
  bool is_free(SlotId slot) const { return states_[index_of(slot)] == State::kFree; }
  bool is_closed(SlotId slot) const { return states_[index_of(slot)] == State::kClosed; }
  uint32_t slots() const { return static_cast<uint32_t>(places_.size()); }
  uint32_t slots(SizeClassId size_class) const { return slots_per_class_[index_of(size_class)]; }
  uint32_t open_slots(SizeClassId size_class) const { return open_per_class_[index_of(size_class)]; }
  uint32_t free_slots(SizeClassId size_class) const { return static_cast<uint32_t>(free_lists_[index_of(size_class)].size()); }

 private:
  enum class State : uint8_t { kFree, kTaken, kClosed };

  SlotArena() = default;
  void fill_free_lists();
  void list_free(SlotId slot);

  std::vector<uint32_t> slots_per_class_;         // [classes]
  std::vector<SlotPlace> places_;                 // [slots]
  std::vector<SizeClassId> classes_;              // [slots]
  std::vector<State> states_;                     // [slots]; kFree <=> on its class's free list
  std::vector<uint32_t> open_per_class_;          // [classes]; slots that are not closed
  std::vector<uint32_t> positions_;               // [slots] where in the free list a free slot stands
  std::vector<std::vector<SlotId>> free_lists_;   // [classes], each reserved for all its slots
};

}  // namespace hotset
