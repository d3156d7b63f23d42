// PolicyBelady: the expert goes whose next use is furthest away (Belady's rule), which only a replay can know.
//
// The bound that online policies are measured against. It admits an upload when the newcomer is needed before the victim.
#pragma once

#include <vector>

#include "offload/ranked_policy.h"
#include "offload/slot_heaps.h"

namespace hotset {

// When each expert is used, in turns (token * layers + layer).
class FutureUses {
 public:
  FutureUses(uint32_t layers, uint32_t experts);

  // First all uses are counted, then all are added, both in the order of their turns.
  void count(ExpertId id) { ++starts_[table_index(id) + 1]; }
  void begin_adding();
  void add(ExpertId id, uint64_t turn) { turns_[next_[table_index(id)]++] = turn; }

  // Back to the start of time.
  void rewind();
  void pass(ExpertId id) { ++next_[table_index(id)]; }
  static constexpr uint64_t kNever = UINT64_MAX;
  uint64_t next(ExpertId id) const {
    const size_t i = table_index(id);
    return next_[i] < starts_[i + 1] ? turns_[next_[i]] : kNever;
  }

 private:
  size_t table_index(ExpertId id) const { return size_t{id.layer} * experts_ + id.expert; }

  const uint32_t experts_;
  std::vector<uint64_t> starts_;  // [layers * experts + 1] of each expert's turns
  std::vector<uint64_t> turns_;
  std::vector<uint64_t> next_;    // [layers * experts] the first of them that is yet to come
};

class PolicyBelady final : public RankedPolicy {
 public:
  // `future` starts at the beginning and knows all uses that will be told.
  PolicyBelady(const PolicyShape& shape, FutureUses future);

  std::string_view name() const override { return "belady"; }
  double worth(ExpertId id) override { return -static_cast<double>(future_.next(id)); }
  bool admits(ExpertId candidate, SlotId victim) override { return future_.next(candidate) < future_.next(tenant_of(victim)); }

 private:
  static uint32_t heap(uint32_t layer, Heat heat) { return 2 * layer + static_cast<uint32_t>(heat); }
  void join(SlotId slot) override { heaps_.push(heap(tenant_of(slot).layer, heat_of(slot)), slot, {worth(tenant_of(slot)), ++clock_}); }
  void part(SlotId slot) override { heaps_.remove(slot); }
  void note_use(ExpertId id) override { future_.pass(id); }
  SlotId lowest(uint32_t layer, Heat heat, const Pins& pins) const override { return heaps_.lowest_unpinned(heap(layer, heat), pins); }
  double rank(SlotId slot) const override { return heaps_.key(slot).score; }
  Status check_order(uint32_t layer, uint32_t cold, uint32_t hot) const override;

  FutureUses future_;
  SlotHeaps heaps_;  // [layers][Heat]
  uint64_t clock_ = 0;
};

}  // namespace hotset
