#include "offload/slot_heaps.h"

#include <utility>

namespace hotset {

SlotHeaps::SlotHeaps(uint32_t slots, uint32_t heaps, uint32_t most) : heaps_(heaps), keys_(slots), heap_of_(slots, 0), positions_(slots, 0) {
  for (auto& heap : heaps_) heap.reserve(most);
}

void SlotHeaps::place(uint32_t heap, size_t position, SlotId slot) {
  heaps_[heap][position] = slot;
  positions_[index_of(slot)] = static_cast<uint32_t>(position);
}

void SlotHeaps::rise(uint32_t heap, size_t position) {
  const SlotId slot = heaps_[heap][position];
  for (; position > 0; position = (position - 1) / 2) {
    const SlotId parent = heaps_[heap][(position - 1) / 2];
    if (!below(slot, parent)) break;
    place(heap, position, parent);
  }
  place(heap, position, slot);
}

void SlotHeaps::sink(uint32_t heap, size_t position) {
  const auto& slots = heaps_[heap];
  const SlotId slot = slots[position];
  for (size_t child = 2 * position + 1; child < slots.size(); child = 2 * position + 1) {
    if (child + 1 < slots.size() && below(slots[child + 1], slots[child])) ++child;
    if (!below(slots[child], slot)) break;
    place(heap, position, slots[child]);
    position = child;
  }
  place(heap, position, slot);
}

void SlotHeaps::push(uint32_t heap, SlotId slot, Key key) {
  keys_[index_of(slot)] = key;
  heap_of_[index_of(slot)] = heap;
  heaps_[heap].push_back(slot);
  rise(heap, heaps_[heap].size() - 1);
}

void SlotHeaps::remove(SlotId slot) {
  const uint32_t heap = heap_of_[index_of(slot)];
  const size_t position = positions_[index_of(slot)];
  const SlotId last = heaps_[heap].back();
  heaps_[heap].pop_back();
  if (last == slot) return;
  place(heap, position, last);
  rise(heap, position);
  sink(heap, positions_[index_of(last)]);
}

// The lowest of `best` and the unpinned slots at and under `position`. Nothing under an unpinned slot is lower than it, so only pinned
// ones are looked behind.
SlotId SlotHeaps::lowest_below(uint32_t heap, size_t position, const Pins& pins, SlotId best) const {
  const auto& slots = heaps_[heap];
  if (position >= slots.size()) return best;
  const SlotId slot = slots[position];
  if (best != kNoSlot && !below(slot, best)) return best;
  if (!pins.pinned(slot)) return slot;
  return lowest_below(heap, 2 * position + 2, pins, lowest_below(heap, 2 * position + 1, pins, best));
}

SlotId SlotHeaps::lowest_unpinned(uint32_t heap, const Pins& pins) const { return lowest_below(heap, 0, pins, kNoSlot); }

Status SlotHeaps::check(uint32_t heap, uint32_t expected) const {
  const auto& slots = heaps_[heap];
  if (slots.size() != expected) return error(Code::kCorrupt, "heap %u has %zu slots and should have %u", heap, slots.size(), expected);
  for (size_t i = 0; i < slots.size(); ++i) {
    const bool ordered = i == 0 || !below(slots[i], slots[(i - 1) / 2]);
    if (!ordered || positions_[index_of(slots[i])] != i || heap_of_[index_of(slots[i])] != heap) {
      return error(Code::kCorrupt, "slot %u is wrongly placed in heap %u", index_of(slots[i]), heap);
    }
  }
  return ok_status();
}

}  // namespace hotset
