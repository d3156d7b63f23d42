// Policy: which resident expert goes when a slot is needed, and which expert deserves one.
//
// A policy orders the tenants of slots; it moves no bytes and owns no slots. Its one owner is an ExpertCache, which
// tells it of every change and of every use. A use is one decode token that chose an expert, and is told once: touch() when the
// expert has a slot, used_elsewhere() when it has none (it is about to get one, or is served from host memory or by the CPU). All
// uses of a layer are best told before a victim is asked for. Moving in is no use. Two rules hold for every policy:
// - Floor: a layer that holds no more than `floor` experts loses one only to its own demand.
// - Heat: what a scan (prefill) brought in is cold until something else touches it, and cold goes before hot.
// Nothing is allocated after creation. One owner thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
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
  uint32_t floor = 0;    // experts a layer keeps against the others' demand
  uint32_t experts = 0;  // of each layer
};

class Policy {
 public:
  virtual ~Policy() = default;
  virtual std::string_view name() const = 0;

  // A tenant moved in (the slot was unknown), was used by a decode token, moved out (the slot becomes unknown).
  // O(log of the layer's residents).
  virtual void insert(SlotId slot, ExpertId tenant, Heat heat) = 0;
  virtual void touch(SlotId slot) = 0;
  virtual void erase(SlotId slot) = 0;

  // A decode token used an expert that has no slot.
  virtual void used_elsewhere(ExpertId id) = 0;

  // A decode token is done: what decays with tokens decays.
  virtual void end_token() {}

  // The slot to empty for a demand of `layer`, among the layers of its size class: never a pinned one. When `reach` is
  // kCold only cold ones, the layer's own before the others'. kNoSlot when there is none. Asked twice, it says the same.
  // O(layers + pinned slots), and what the policy put off until it was asked.
  virtual SlotId victim(uint32_t layer, Heat reach, const Pins& pins) = 0;

  // What having the expert resident is worth from here on: comparable between all experts at one moment, resident or not.
  // No unit: only the order and, for policies that count uses, the ratio mean something. O(1) but for what was put off.
  virtual double worth(ExpertId id) = 0;

  // Whether moving `candidate`, which has no slot, into the slot of `victim` promises to pay for the upload. O(1).
  virtual bool admits(ExpertId candidate, SlotId victim) = 0;

  // Changes the floor of the shape, when slots come or go.
  virtual void set_floor(uint32_t floor) = 0;

  // How many tenants the layer has.
  virtual uint32_t residents(uint32_t layer) const = 0;
  // Whether the slot is known, and if so its tenant and heat; for checks.
  virtual bool knows(SlotId slot) const = 0;
  virtual ExpertId tenant_of(SlotId slot) const = 0;
  virtual Heat heat_of(SlotId slot) const = 0;

  // Walks every list and compares it with the counts. For tests; O(slots).
  virtual Status check() const = 0;
};

// The names that make_policy knows, the default first.
std::span<const std::string_view> policy_names();

// The policy called `name`. Error: kInvalidArgument listing the names there are.
Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const PolicyShape& shape);

}  // namespace hotset
