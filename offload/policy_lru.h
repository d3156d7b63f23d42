// PolicyLru: the expert that was not used for the longest time goes, over all layers of a size class at once.
//
// One memory for all layers beats a fixed part for each (arXiv 2509.02408); the floor keeps a cache smaller than one
// token's cycle through the layers from losing every expert just before its next use.
#pragma once

#include "offload/aged_lists.h"
#include "offload/ranked_policy.h"

namespace hotset {

class PolicyLru final : public RankedPolicy {
 public:
  explicit PolicyLru(const PolicyShape& shape)
      : RankedPolicy(shape), lists_(shape.slots, 2 * book().layers()), used_at_(book().table_size(), 0) {}

  std::string_view name() const override { return "lru"; }
  double worth(ExpertId id) override { return static_cast<double>(used_at_[book().table_index(id)]); }
  bool admits(ExpertId, SlotId) override { return true; }

 private:
  static uint32_t list(uint32_t layer, Heat heat) { return 2 * layer + static_cast<uint32_t>(heat); }
  void join(SlotId slot) override { lists_.append(list(tenant_of(slot).layer, heat_of(slot)), slot); }
  void part(SlotId slot) override { lists_.remove(slot); }
  void note_use(ExpertId id) override { used_at_[book().table_index(id)] = lists_.tick(); }
  SlotId lowest(uint32_t layer, Heat heat, const Pins& pins) const override { return lists_.oldest_unpinned(list(layer, heat), pins); }
  double rank(SlotId slot) const override { return static_cast<double>(lists_.stamp(slot)); }
  Status check_order(uint32_t layer, uint32_t cold, uint32_t hot) const override {
    HOTSET_RETURN_IF_ERROR(lists_.check(list(layer, Heat::kCold), cold));
    return lists_.check(list(layer, Heat::kHot), hot);
  }

  AgedLists lists_;                // [layers][Heat]
  std::vector<uint64_t> used_at_;  // [layers][experts] moment of the last use; 0: never
};

}  // namespace hotset
