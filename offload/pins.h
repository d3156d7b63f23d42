// Pins: which slots must keep their tenant.
//
// A slot is pinned while somebody holds it, and after that until the GPU's timeline has passed the value that the last
// holder left behind. One owner thread. Every call is O(1).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "offload/expert.h"
#include "platform/check.h"

namespace hotset {

class Pins {
 public:
  explicit Pins(uint32_t slots) : pins_(slots) {}

  void add(SlotId slot) { ++pins_[index_of(slot)].holders; }

  // One holder leaves; the GPU may read the slot until its timeline has passed `gpu_value` (0: it does not read it).
  void retire(SlotId slot, uint64_t gpu_value) {
    Pin& pin = pins_[index_of(slot)];
    HOTSET_CHECK(pin.holders > 0);
    --pin.holders;
    pin.until_value = std::max(pin.until_value, gpu_value);
  }

  // The GPU's timeline stands at `completed_value`. Values only grow; a smaller one changes nothing.
  void advance(uint64_t completed_value) { completed_value_ = std::max(completed_value_, completed_value); }

  bool pinned(SlotId slot) const {
    const Pin& pin = pins_[index_of(slot)];
    return pin.holders > 0 || pin.until_value > completed_value_;
  }
  uint32_t holders(SlotId slot) const { return pins_[index_of(slot)].holders; }

 private:
  struct Pin {
    uint32_t holders = 0;
    uint64_t until_value = 0;
  };
  std::vector<Pin> pins_;  // [slots]
  uint64_t completed_value_ = 0;
};

}  // namespace hotset
