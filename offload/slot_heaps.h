// SlotHeaps: heaps of slots by score, the lowest on top, and where each slot stands.
//
// What policies of worth are built of. Equal scores: the slot that was stamped earlier is lower. One owner thread; nothing is
// allocated after creation.
#pragma once

#include <cstdint>
#include <vector>

#include "offload/pins.h"
#include "platform/status.h"

namespace hotset {

class SlotHeaps {
 public:
  struct Key {
    double score = 0;
    uint64_t stamp = 0;
    bool operator<(const Key& other) const { return score != other.score ? score < other.score : stamp < other.stamp; }
  };

  // No heap ever holds more than `most` slots.
  SlotHeaps(uint32_t slots, uint32_t heaps, uint32_t most);

  // O(log of the heap).
  void push(uint32_t heap, SlotId slot, Key key);
  void remove(SlotId slot);

  const Key& key(SlotId slot) const { return keys_[index_of(slot)]; }
  uint32_t size(uint32_t heap) const { return static_cast<uint32_t>(heaps_[heap].size()); }

  // Gives every slot of the heap the key `of(slot)`. O(size).
  template <class KeyOf>
  void rescore(uint32_t heap, const KeyOf& of) {
    for (const SlotId slot : heaps_[heap]) keys_[index_of(slot)] = of(slot);
    for (size_t i = heaps_[heap].size() / 2; i-- > 0;) sink(heap, i);
  }

  // The lowest slot that is not pinned, or kNoSlot. O(pinned slots of the heap).
  SlotId lowest_unpinned(uint32_t heap, const Pins& pins) const;

  // Proves order and positions: `expected` slots.
  Status check(uint32_t heap, uint32_t expected) const;

 private:
  bool below(SlotId a, SlotId b) const { return keys_[index_of(a)] < keys_[index_of(b)]; }
  void place(uint32_t heap, size_t position, SlotId slot);
  void rise(uint32_t heap, size_t position);
  void sink(uint32_t heap, size_t position);
  SlotId lowest_below(uint32_t heap, size_t position, const Pins& pins, SlotId best) const;

  std::vector<std::vector<SlotId>> heaps_;  // [heaps]
  std::vector<Key> keys_;                   // [slots]
  std::vector<uint32_t> heap_of_;           // [slots]
  std::vector<uint32_t> positions_;         // [slots] in their heap
};

}  // namespace hotset
