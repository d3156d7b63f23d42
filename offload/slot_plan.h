// How a byte budget becomes expert slots, and slots become device buffers. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "offload/expert_table.h"
#include "platform/status.h"

namespace hotset {

// What one size class wants of a budget.
struct SlotDemand {
  uint64_t slot_bytes = 0;
  uint64_t least = 0;  // slots it cannot do without
  uint64_t most = 0;   // slots it has a use for, at least `least`
};

// The bytes of the least slots of all classes.
uint64_t least_bytes(std::span<const SlotDemand> demands);

// Slots per class for a budget of at least least_bytes(): each class gets the same share of its most as far as least and most allow.
// Slots never need more than the budget.
std::vector<uint32_t> share_slots(std::span<const SlotDemand> demands, uint64_t budget_bytes);

// The least device bytes of expert slots that work: in each size class `top_k` slots twice (or one for each expert that its layers use, where those
// are fewer). From `top_k` slots a layer on no layer takes from another what that one needs for its next token.
// `top_k` is at most table.experts().
uint64_t least_slot_bytes(const ExpertTable& table, uint32_t top_k);

// Slots per size class [classes] for `budget_bytes`: each class gets the same share of its experts as far as the
// least and the number of its experts allow. Slots never need more than the budget.
// Errors: kOverBudget with the least bytes that work; kInvalidArgument when top_k is 0 or above the experts per layer.
Result<std::vector<uint32_t>> plan_slots(const ExpertTable& table, uint64_t budget_bytes, uint32_t top_k);

// The slab sizes that hold `slots_per_class` with not a byte to spare, none above `max_slab_bytes`; the slots of a slab are of
// one class. Error: kInvalidArgument when a record is larger than a slab may be.
Result<std::vector<uint64_t>> plan_slabs(const ExpertTable& table, std::span<const uint32_t> slots_per_class,
                                         uint64_t max_slab_bytes);

// Slabs for the experts of all layers, so that a cache can grow: which of them are there from the start, and which wait.
struct SlabPlan {
  std::vector<uint64_t> slab_bytes;        // in the order in which SlotArena fills them
  std::vector<SizeClassId> slab_classes;   // [slabs]
  std::vector<bool> open;                  // [slabs] part of `slots_per_class`
  std::vector<uint32_t> slots_per_class;   // of all slabs: the experts of the class
};

// In each class first the least that works, then the rest of `slots_per_class`, then the rest of its experts: slabs
// of their own each, so that a cache can shrink to its least by whole slabs.
Result<SlabPlan> plan_all_slabs(const ExpertTable& table, std::span<const uint32_t> slots_per_class, uint32_t top_k, uint64_t max_slab_bytes);

}  // namespace hotset
