// SlotLists: rows of slots in which each slot stands in at most one row. Every call is O(1) and allocates nothing; one owner thread.
#pragma once

#include <cstdint>
#include <vector>

#include "offload/expert.h"
#include "platform/check.h"

namespace hotset {

class SlotLists {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;  // in no row

  SlotLists(uint32_t slots, uint32_t lists) : nodes_(slots), ends_(lists) {}

  uint32_t list_of(SlotId slot) const { return node(slot).list; }
  SlotId first(uint32_t list) const { return ends_[list].first; }
  SlotId after(SlotId slot) const { return node(slot).next; }

  void append(uint32_t list, SlotId slot) {
    HOTSET_CHECK(list_of(slot) == kNone);
    const SlotId last = ends_[list].last;
    node(slot) = {last, kNoSlot, list};
    (last != kNoSlot ? node(last).next : ends_[list].first) = slot;
    ends_[list].last = slot;
  }

  // Nothing when the slot is in no row.
  void remove(SlotId slot) {
    const Node gone = node(slot);
    if (gone.list == kNone) return;
    (gone.previous != kNoSlot ? node(gone.previous).next : ends_[gone.list].first) = gone.next;
    (gone.next != kNoSlot ? node(gone.next).previous : ends_[gone.list].last) = gone.previous;
    node(slot) = {};
  }

 private:
  struct Node {
    SlotId previous = kNoSlot;
    SlotId next = kNoSlot;
    uint32_t list = kNone;
  };
  struct Ends {
    SlotId first = kNoSlot;
    SlotId last = kNoSlot;
  };

  Node& node(SlotId slot) { return nodes_[index_of(slot)]; }
  const Node& node(SlotId slot) const { return nodes_[index_of(slot)]; }

  std::vector<Node> nodes_;  // [slots]
  std::vector<Ends> ends_;   // [lists]
};

}  // namespace hotset
