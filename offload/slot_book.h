// SlotBook: who lives in which slot, how hot, and from which layers a demand may take. The part that all policies share.
//
// One owner thread; nothing is allocated after creation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "offload/policy.h"
#include "platform/check.h"

namespace hotset {

class SlotBook {
 public:
  explicit SlotBook(const PolicyShape& shape);

  void enter(SlotId slot, ExpertId tenant, Heat heat) {
    HOTSET_CHECK(!entry(slot).known);
    entry(slot) = {tenant, heat, true};
    ++residents_[tenant.layer];
  }
  void leave(SlotId slot) {
    HOTSET_CHECK(entry(slot).known);
    entry(slot).known = false;
    --residents_[tenant_of(slot).layer];
  }
  void warm(SlotId slot) { entry(slot).heat = Heat::kHot; }

  bool knows(SlotId slot) const { return entry(slot).known; }
  ExpertId tenant_of(SlotId slot) const { return entry(slot).tenant; }
  Heat heat_of(SlotId slot) const { return entry(slot).heat; }
  uint32_t residents(uint32_t layer) const { return residents_[layer]; }

  // Whether a demand of `layer` may take a slot of `other`, a layer of its class.
  bool may_take(uint32_t layer, uint32_t other) const { return other == layer || residents_[other] > floor_; }
  void set_floor(uint32_t floor) { floor_ = floor; }
  // The layers of `layer`'s size class, itself among them.
  std::span<const uint32_t> peers(uint32_t layer) const { return layers_of_class_[index_of(class_of_layer_[layer])]; }

  uint32_t slots() const { return static_cast<uint32_t>(entries_.size()); }
  uint32_t layers() const { return static_cast<uint32_t>(class_of_layer_.size()); }
  size_t table_index(ExpertId id) const { return size_t{id.layer} * experts_ + id.expert; }
  size_t table_size() const { return class_of_layer_.size() * experts_; }

  // Proves that the counts agree with the entries. O(slots).
  Status check() const;

 private:
  struct Entry {
    ExpertId tenant;
    Heat heat = Heat::kCold;
    bool known = false;
  };
  Entry& entry(SlotId slot) { return entries_[index_of(slot)]; }
  const Entry& entry(SlotId slot) const { return entries_[index_of(slot)]; }

  uint32_t floor_;
  const uint32_t experts_;
  std::vector<SizeClassId> class_of_layer_;             // [layers]
  std::vector<std::vector<uint32_t>> layers_of_class_;  // [classes][its layers]

  std::vector<Entry> entries_;       // [slots]
  std::vector<uint32_t> residents_;  // [layers]
};

}  // namespace hotset
