#include "offload/ranked_policy.h"

namespace hotset {

void RankedPolicy::insert(SlotId slot, ExpertId tenant, Heat heat) {
  book_.enter(slot, tenant, heat);
  join(slot);
}

void RankedPolicy::touch(SlotId slot) {
  HOTSET_CHECK(knows(slot));
  if (heat_of(slot) == Heat::kHot && !use_moves()) return note_use(tenant_of(slot));
  part(slot);
  book_.warm(slot);
  note_use(tenant_of(slot));
  join(slot);
}

void RankedPolicy::erase(SlotId slot) {
  HOTSET_CHECK(knows(slot));
  part(slot);
  book_.leave(slot);
}

SlotId RankedPolicy::lowest_of_peers(uint32_t layer, Heat heat, const Pins& pins) const {
  SlotId best = kNoSlot;
  double best_rank = 0;
  for (const uint32_t other : book_.peers(layer)) {
    if (!book_.may_take(layer, other)) continue;
    const SlotId slot = lowest(other, heat, pins);
    if (slot == kNoSlot) continue;
    const double slot_rank = rank(slot);
    if (best != kNoSlot && slot_rank >= best_rank) continue;
    best = slot;
    best_rank = slot_rank;
  }
  return best;
}

SlotId RankedPolicy::victim(uint32_t layer, Heat reach, const Pins& pins) {
  settle();
  // A scan eats its own leavings first, so that the layers of a prefill do not rob one another.
  const SlotId own = reach == Heat::kCold ? lowest(layer, Heat::kCold, pins) : kNoSlot;
  if (own != kNoSlot) return own;
  const SlotId cold = lowest_of_peers(layer, Heat::kCold, pins);
  return cold != kNoSlot || reach == Heat::kCold ? cold : hot_victim(layer, pins);
}

Status RankedPolicy::check() const {
  HOTSET_RETURN_IF_ERROR(book_.check());
  std::vector<uint32_t> hot(book_.layers(), 0);
  for (uint32_t i = 0; i < book_.slots(); ++i) {
    const SlotId slot{i};
    if (knows(slot) && heat_of(slot) == Heat::kHot) ++hot[tenant_of(slot).layer];
  }
  for (uint32_t layer = 0; layer < book_.layers(); ++layer) {
    HOTSET_RETURN_IF_ERROR(check_order(layer, residents(layer) - hot[layer], hot[layer]));
  }
  return ok_status();
}

}  // namespace hotset
