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
  free_.assign(places_.size(), true);
  free_lists_.resize(slots_per_class_.size());
  for (size_t c = 0; c < free_lists_.size(); ++c) free_lists_[c].reserve(slots_per_class_[c]);
  // Backwards, so that the lowest slot is taken first.
  for (uint32_t slot = slots(); slot-- > 0;) free_lists_[index_of(classes_[slot])].push_back(SlotId{slot});
}

SlotId SlotArena::take(SizeClassId size_class) {
  auto& list = free_lists_[index_of(size_class)];
  if (list.empty()) return kNoSlot;
  const SlotId slot = list.back();
  list.pop_back();
  free_[index_of(slot)] = false;
  return slot;
}

void SlotArena::give_back(SlotId slot) {
  HOTSET_CHECK(!is_free(slot));
  free_[index_of(slot)] = true;
  free_lists_[index_of(size_class(slot))].push_back(slot);
}

}  // namespace hotset
