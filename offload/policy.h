// Policy: which resident expert goes when a slot is needed.
//
// A policy orders the tenants of slots; it moves no bytes and owns no slots. Its one owner is an ExpertCache, which
// tells it of every change. Two rules hold for every policy:
// - Floor: a layer that holds no more than `floor` experts loses one only to its own demand.
// - Heat: what a scan (prefill) brought in is cold until something else touches it, and cold goes before hot.
// Nothing is allocated after creation. One owner thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "offload/expert.h"
#include "offload/pins.h"
#include "platform/status.h"

namespace hotset {

enum class Heat : uint8_t { kCold, kHot };

struct PolicyShape {
  std::vector<SizeClassId> class_of_layer;  // [layers]
  uint32_t classes = 0;
  uint32_t slots = 0;
  uint32_t floor = 0;  // experts a layer keeps against the others' demand
};

class Policy {
 public:
  virtual ~Policy() = default;
  virtual std::string_view name() const = 0;

  // A tenant moved in (the slot was unknown), was used, moved out (the slot becomes unknown). O(1).
  virtual void insert(SlotId slot, uint32_t layer, Heat heat) = 0;
  virtual void touch(SlotId slot) = 0;
  virtual void erase(SlotId slot) = 0;

  // The slot to empty for a demand of `layer`, among the layers of its size class: never a pinned one. When `reach` is
  // kCold only cold ones, the layer's own before the others'. kNoSlot when there is none. Changes nothing. O(layers + pinned slots).
  virtual SlotId victim(uint32_t layer, Heat reach, const Pins& pins) const = 0;

  // How many tenants the layer has.
  virtual uint32_t residents(uint32_t layer) const = 0;
  // Whether the slot is known, and if so its layer's number and heat; for checks.
  virtual bool knows(SlotId slot) const = 0;
  virtual uint32_t layer_of(SlotId slot) const = 0;
  virtual Heat heat_of(SlotId slot) const = 0;

  // Walks every list and compares it with the counts. For tests; O(slots).
  virtual Status check() const = 0;
};

// The policy called `name`. Error: kInvalidArgument listing the names there are.
Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const PolicyShape& shape);

}  // namespace hotset
