#include "offload/policy_s3fifo.h"

#include <algorithm>

namespace hotset {

PolicyS3Fifo::PolicyS3Fifo(const PolicyShape& shape)
    : RankedPolicy(shape),
      lists_(shape.slots, kQueues * book().layers()),
      uses_(book().table_size(), 0),
      left_at_(book().table_size(), 0),
      remembered_(shape.slots) {}

void PolicyS3Fifo::join(SlotId slot) {
  const ExpertId tenant = tenant_of(slot);
  const uint64_t left_at = left_at_[book().table_index(tenant)];
  const bool back_soon = left_at != 0 && leavers_ - left_at < remembered_;
  uses_of(slot) = 0;
  lists_.append(list(tenant.layer, heat_of(slot) == Heat::kCold ? kScanned : back_soon ? kMain : kSmall), slot);
}

void PolicyS3Fifo::part(SlotId slot) {
  if (in_small(slot)) left_at_[book().table_index(tenant_of(slot))] = ++leavers_;
  lists_.remove(slot);
}

void PolicyS3Fifo::note_use(ExpertId id) {
  uint8_t& uses = uses_[book().table_index(id)];
  uses = std::min<uint8_t>(static_cast<uint8_t>(uses + 1), kMostUses);
}

double PolicyS3Fifo::worth(ExpertId id) {
  const uint64_t left_at = left_at_[book().table_index(id)];
  return uses_[book().table_index(id)] + (left_at != 0 && leavers_ - left_at < remembered_ ? 0.5 : 0);
}

SlotId PolicyS3Fifo::lowest(uint32_t layer, Heat heat, const Pins& pins) const {
  if (heat == Heat::kCold) return lists_.oldest_unpinned(list(layer, kScanned), pins);
  const SlotId small = lists_.oldest_unpinned(list(layer, kSmall), pins);
  return small != kNoSlot ? small : lists_.oldest_unpinned(list(layer, kMain), pins);
}

SlotId PolicyS3Fifo::oldest_of_peers(uint32_t layer, Queue queue, const Pins& pins) const {
  SlotId oldest = kNoSlot;
  for (const uint32_t other : book().peers(layer)) {
    if (!book().may_take(layer, other)) continue;
    const SlotId slot = lists_.oldest_unpinned(list(other, queue), pins);
    if (slot != kNoSlot && (oldest == kNoSlot || lists_.stamp(slot) < lists_.stamp(oldest))) oldest = slot;
  }
  return oldest;
}

bool PolicyS3Fifo::small_is_full(uint32_t layer) const {
  uint64_t small = 0;
  uint64_t main = 0;
  for (const uint32_t other : book().peers(layer)) {
    small += lists_.length(list(other, kSmall));
    main += lists_.length(list(other, kMain));
  }
  return small * 10 >= small + main;
}

void PolicyS3Fifo::move_to_main(SlotId slot) {
  lists_.remove(slot);
  lists_.append(list(tenant_of(slot).layer, kMain), slot);
}

// Ends: every step takes a use away or moves a slot out of the small queue.
SlotId PolicyS3Fifo::hot_victim(uint32_t layer, const Pins& pins) {
  for (;;) {
    const Queue first = small_is_full(layer) ? kSmall : kMain;
    SlotId slot = oldest_of_peers(layer, first, pins);
    if (slot == kNoSlot) slot = oldest_of_peers(layer, first == kSmall ? kMain : kSmall, pins);
    if (slot == kNoSlot) return kNoSlot;
    uint8_t& uses = uses_of(slot);
    if (uses <= (in_small(slot) ? 1 : 0)) return slot;
    uses = in_small(slot) ? 0 : static_cast<uint8_t>(uses - 1);
    move_to_main(slot);
  }
}

Status PolicyS3Fifo::check_order(uint32_t layer, uint32_t cold, uint32_t hot) const {
  HOTSET_RETURN_IF_ERROR(lists_.check(list(layer, kScanned), cold));
  const uint32_t small = lists_.length(list(layer, kSmall));
  HOTSET_RETURN_IF_ERROR(lists_.check(list(layer, kSmall), std::min(small, hot)));
  return lists_.check(list(layer, kMain), hot - std::min(small, hot));
}

}  // namespace hotset
