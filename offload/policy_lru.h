// PolicyLru: the expert that was not used for the longest time goes, over all layers of a size class at once.
//
// One memory for all layers beats a fixed part for each (arXiv 2509.02408); the floor keeps a cache smaller than one
// token's cycle through the layers from losing every expert just before its next use.
#pragma once

#include "offload/policy.h"

namespace hotset {

class PolicyLru final : public Policy {
 public:
  explicit PolicyLru(const PolicyShape& shape);

  std::string_view name() const override { return "lru"; }
  void insert(SlotId slot, ExpertId tenant, Heat heat) override;
  void touch(SlotId slot) override;
  void erase(SlotId slot) override;
  void used_elsewhere(ExpertId id) override { used_at_[table_index(id)] = ++clock_; }
  SlotId victim(uint32_t layer, Heat reach, const Pins& pins) const override;
  double worth(ExpertId id) const override { return static_cast<double>(used_at_[table_index(id)]); }
  bool admits(ExpertId, SlotId) const override { return true; }
  uint32_t residents(uint32_t layer) const override { return layers_[layer].residents; }
  bool knows(SlotId slot) const override { return node(slot).known; }
  ExpertId tenant_of(SlotId slot) const override { return node(slot).tenant; }
  Heat heat_of(SlotId slot) const override { return node(slot).heat; }
  Status check() const override;

 private:
  struct Node {
    SlotId older = kNoSlot;
    SlotId newer = kNoSlot;
    uint64_t stamp = 0;  // when it was inserted or last touched
    ExpertId tenant;
    Heat heat = Heat::kCold;
    bool known = false;
  };
  // Stamps rise from oldest to newest.
  struct List {
    SlotId oldest = kNoSlot;
    SlotId newest = kNoSlot;
  };
  // residents == length of both lists together.
  struct Layer {
    List lists[2];  // [Heat]
    uint32_t residents = 0;
  };

  Node& node(SlotId slot) { return nodes_[index_of(slot)]; }
  const Node& node(SlotId slot) const { return nodes_[index_of(slot)]; }
  List& list_of(const Node& n) { return layers_[n.tenant.layer].lists[static_cast<size_t>(n.heat)]; }
  size_t table_index(ExpertId id) const { return size_t{id.layer} * experts_ + id.expert; }
  void append(SlotId slot);
  void unlink(SlotId slot);
  SlotId oldest_unpinned(uint32_t layer, Heat heat, const Pins& pins) const;
  Status check_list(uint32_t layer, Heat heat, uint32_t* length) const;

  const uint32_t floor_;
  const uint32_t experts_;
  std::vector<SizeClassId> class_of_layer_;             // [layers]
  std::vector<std::vector<uint32_t>> layers_of_class_;  // [classes][its layers]

  std::vector<Node> nodes_;    // [slots]
  std::vector<Layer> layers_;      // [layers]
  std::vector<uint64_t> used_at_;  // [layers][experts] stamp of the last use; 0: never
  uint64_t clock_ = 0;             // the last stamp given
};

}  // namespace hotset
