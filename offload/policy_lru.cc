#include "offload/policy_lru.h"

namespace hotset {

PolicyLru::PolicyLru(const PolicyShape& shape)
    : floor_(shape.floor),
      experts_(shape.experts),
      class_of_layer_(shape.class_of_layer),
      layers_of_class_(shape.classes),
      nodes_(shape.slots),
      layers_(shape.class_of_layer.size()),
      used_at_(shape.class_of_layer.size() * shape.experts, 0) {
  for (uint32_t layer = 0; layer < class_of_layer_.size(); ++layer) {
    layers_of_class_[index_of(class_of_layer_[layer])].push_back(layer);
  }
}

void PolicyLru::append(SlotId slot) {
  Node& n = node(slot);
  List& list = list_of(n);
  n.stamp = ++clock_;
  n.newer = kNoSlot;
  n.older = list.newest;
  if (list.newest != kNoSlot) node(list.newest).newer = slot;
  else list.oldest = slot;
  list.newest = slot;
}

void PolicyLru::unlink(SlotId slot) {
  const Node& n = node(slot);
  List& list = list_of(n);
  if (n.older != kNoSlot) node(n.older).newer = n.newer;
  else list.oldest = n.newer;
  if (n.newer != kNoSlot) node(n.newer).older = n.older;
  else list.newest = n.older;
}

void PolicyLru::insert(SlotId slot, ExpertId tenant, Heat heat) {
  Node& n = node(slot);
  HOTSET_CHECK(!n.known);
  n.known = true;
  n.tenant = tenant;
  n.heat = heat;
  append(slot);
  ++layers_[tenant.layer].residents;
}

void PolicyLru::touch(SlotId slot) {
  HOTSET_CHECK(knows(slot));
  unlink(slot);
  node(slot).heat = Heat::kHot;
  append(slot);
  used_at_[table_index(node(slot).tenant)] = clock_;
}

void PolicyLru::erase(SlotId slot) {
  HOTSET_CHECK(knows(slot));
  unlink(slot);
  node(slot).known = false;
  --layers_[node(slot).tenant.layer].residents;
}

SlotId PolicyLru::oldest_unpinned(uint32_t layer, Heat heat, const Pins& pins) const {
  SlotId slot = layers_[layer].lists[static_cast<size_t>(heat)].oldest;
  while (slot != kNoSlot && pins.pinned(slot)) slot = node(slot).newer;
  return slot;
}

SlotId PolicyLru::victim(uint32_t layer, Heat reach, const Pins& pins) const {
  // A scan eats its own leavings first, so that the layers of a prefill do not rob one another.
  const SlotId own = reach == Heat::kCold ? oldest_unpinned(layer, Heat::kCold, pins) : kNoSlot;
  if (own != kNoSlot) return own;
  for (const Heat heat : {Heat::kCold, Heat::kHot}) {
    if (heat > reach) break;
    SlotId best = kNoSlot;
    for (const uint32_t other : layers_of_class_[index_of(class_of_layer_[layer])]) {
      if (other != layer && residents(other) <= floor_) continue;
      const SlotId slot = oldest_unpinned(other, heat, pins);
      if (slot != kNoSlot && (best == kNoSlot || node(slot).stamp < node(best).stamp)) best = slot;
    }
    if (best != kNoSlot) return best;
  }
  return kNoSlot;
}

Status PolicyLru::check_list(uint32_t layer, Heat heat, uint32_t* length) const {
  const List& list = layers_[layer].lists[static_cast<size_t>(heat)];
  uint64_t last_stamp = 0;
  SlotId last = kNoSlot;
  for (SlotId slot = list.oldest; slot != kNoSlot; slot = node(slot).newer) {
    const Node& n = node(slot);
    const bool right_place = n.known && n.tenant.layer == layer && n.heat == heat && n.older == last;
    if (!right_place || n.stamp <= last_stamp) return error(Code::kCorrupt, "slot %u is wrongly listed in layer %u", index_of(slot), layer);
    last_stamp = n.stamp;
    last = slot;
    if (++*length > nodes_.size()) return error(Code::kCorrupt, "the list of layer %u runs in a circle", layer);
  }
  if (list.newest != last) return error(Code::kCorrupt, "the list of layer %u does not end at its newest", layer);
  return ok_status();
}

Status PolicyLru::check() const {
  uint32_t listed = 0;
  uint32_t known = 0;
  for (uint32_t layer = 0; layer < layers_.size(); ++layer) {
    uint32_t length = 0;
    HOTSET_RETURN_IF_ERROR(check_list(layer, Heat::kCold, &length));
    HOTSET_RETURN_IF_ERROR(check_list(layer, Heat::kHot, &length));
    if (length != residents(layer)) return error(Code::kCorrupt, "layer %u lists %u residents and counts %u", layer, length, residents(layer));
    listed += length;
  }
  for (const Node& n : nodes_) known += n.known ? 1 : 0;
  if (known != listed) return error(Code::kCorrupt, "%u slots are known, %u listed", known, listed);
  return ok_status();
}

}  // namespace hotset
