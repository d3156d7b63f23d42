#include "offload/slot_arena.h"

namespace hotset {

Result<SlotArena> SlotArena::create(const ExpertTable& table, std::span<const uint32_t> slots_per_class, std::span<const Slab> slabs) {
  HOTSET_CHECK(slots_per_class.size() == table.classes());
  for (const Slab& slab : slabs) {
    if (slab.device_address == 0 || slab.device_address % kRecordAlignment != 0) {
      return error(Code::kInvalidArgument, "slab %u is at address %llx, which is no multiple of %llu above 0", index_of(slab.id),
                   static_cast<unsigned long long>(slab.device_address), static_cast<unsigned long long>(kRecordAlignment));
    }
  }
  SlotArena arena;
  arena.slots_per_class_.assign(slots_per_class.begin(), slots_per_class.end());
  size_t slab = 0;
  uint64_t used_bytes = 0;
  for (uint32_t c = 0; c < table.classes(); ++c) {
    const uint64_t record_bytes = table.class_record_bytes(SizeClassId{c});
    for (uint32_t i = 0; i < slots_per_class[c]; ++i) {
      while (slab < slabs.size() && slabs[slab].size_bytes - used_bytes < record_bytes) {
        ++slab;
        used_bytes = 0;
      }
      if (slab == slabs.size()) return error(Code::kInvalidArgument, "the slabs are too small for the expert slots planned");
      arena.places_.push_back({slabs[slab].id, used_bytes, slabs[slab].device_address + used_bytes});
      arena.classes_.push_back(SizeClassId{c});
      used_bytes += record_bytes;
    }
  }
  arena.fill_free_lists();
  return arena;
}

void SlotArena::fill_free_lists() {
  states_.assign(places_.size(), State::kFree);
  positions_.assign(places_.size(), 0);
  open_per_class_ = slots_per_class_;
  free_lists_.resize(slots_per_class_.size());
  for (size_t c = 0; c < free_lists_.size(); ++c) free_lists_[c].reserve(slots_per_class_[c]);
  // Backwards, so that the lowest slot is taken first.
  for (uint32_t slot = slots(); slot-- > 0;) list_free(SlotId{slot});
}

void SlotArena::list_free(SlotId slot) {
  auto& list = free_lists_[index_of(size_class(slot))];
  states_[index_of(slot)] = State::kFree;
  positions_[index_of(slot)] = static_cast<uint32_t>(list.size());
  list.push_back(slot);
}

SlotId SlotArena::next(SizeClassId size_class) const {
  const auto& list = free_lists_[index_of(size_class)];
  return list.empty() ? kNoSlot : list.back();
}

SlotId SlotArena::take(SizeClassId size_class) {
  const SlotId slot = next(size_class);
  if (slot == kNoSlot) return kNoSlot;
  free_lists_[index_of(size_class)].pop_back();
  states_[index_of(slot)] = State::kTaken;
  return slot;
}

void SlotArena::give_back(SlotId slot) {
  HOTSET_CHECK(states_[index_of(slot)] == State::kTaken);
  list_free(slot);
}

void SlotArena::close(SlotId slot) {
  HOTSET_CHECK(is_free(slot));
  auto& list = free_lists_[index_of(size_class(slot))];
  const uint32_t position = positions_[index_of(slot)];
  list[position] = list.back();
  positions_[index_of(list[position])] = position;
  list.pop_back();
  states_[index_of(slot)] = State::kClosed;
  --open_per_class_[index_of(size_class(slot))];
}

void SlotArena::open(SlotId slot) {
  HOTSET_CHECK(is_closed(slot));
  ++open_per_class_[index_of(size_class(slot))];
  list_free(slot);
}

}  // namespace hotset
