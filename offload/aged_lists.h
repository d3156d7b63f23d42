// AgedLists: rows of slots, each from its oldest to its newest, with the moment at which every slot joined.
//
// What policies of age (LRU, FIFO queues) are built of. One owner thread; every call but oldest_unpinned is O(1).
#pragma once

#include <cstdint>
#include <vector>

#include "offload/pins.h"
#include "offload/slot_lists.h"
#include "platform/status.h"

namespace hotset {

class AgedLists {
 public:
  AgedLists(uint32_t slots, uint32_t lists) : rows_(slots, lists), stamps_(slots, 0), lengths_(lists, 0) {}

  void append(uint32_t list, SlotId slot) {
    rows_.append(list, slot);
    stamps_[index_of(slot)] = ++clock_;
    ++lengths_[list];
  }
  void remove(SlotId slot) {
    --lengths_[rows_.list_of(slot)];
    rows_.remove(slot);
  }
  // A moment later than all stamps so far.
  uint64_t tick() { return ++clock_; }

  uint32_t list_of(SlotId slot) const { return rows_.list_of(slot); }
  uint32_t length(uint32_t list) const { return lengths_[list]; }
  uint64_t stamp(SlotId slot) const { return stamps_[index_of(slot)]; }
  uint64_t now() const { return clock_; }

  // O(pinned slots of the list).
  SlotId oldest_unpinned(uint32_t list, const Pins& pins) const {
    SlotId slot = rows_.first(list);
    while (slot != kNoSlot && pins.pinned(slot)) slot = rows_.after(slot);
    return slot;
  }

  // Walks the list: `expected` slots, from old to new.
  Status check(uint32_t list, uint32_t expected) const {
    uint32_t length = 0;
    uint64_t last = 0;
    for (SlotId slot = rows_.first(list); slot != kNoSlot && length <= expected; slot = rows_.after(slot)) {
      if (stamp(slot) <= last) return error(Code::kCorrupt, "slot %u is wrongly listed in row %u", index_of(slot), list);
      last = stamp(slot);
      ++length;
    }
    if (length == expected && lengths_[list] == expected) return ok_status();
    return error(Code::kCorrupt, "row %u lists %u slots, counts %u and should have %u", list, length, lengths_[list], expected);
  }

 private:
  SlotLists rows_;
  std::vector<uint64_t> stamps_;   // [slots]
  std::vector<uint32_t> lengths_;  // [lists]
  uint64_t clock_ = 0;
};

}  // namespace hotset
