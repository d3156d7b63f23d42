// PolicyLrfu: uses count, and count half as much after every half-life (LRFU); the least goes. The half-life is in tokens. Without end it is
// LFU; LRU is its other limit.
//
// A use is kept as 2^(token / half-life), so that nothing needs touching when a token ends: the order of scores stays as it is.
#pragma once

#include <string>

#include "offload/ranked_policy.h"
#include "offload/slot_heaps.h"

namespace hotset {

class PolicyLrfu final : public RankedPolicy {
 public:
  static constexpr double kHalfLifeTokens = 16;  // the best of 2 to 64 on routing traces of seven models
  static constexpr double kNoEnd = 0;            // as a half-life: LFU

  PolicyLrfu(const PolicyShape& shape, std::string name, double half_life_tokens);

  std::string_view name() const override { return name_; }
  void end_token() override;
  double worth(ExpertId id) override { return scores_[book().table_index(id)] / weight_; }
  bool admits(ExpertId candidate, SlotId victim) override;

 private:
  static uint32_t heap(uint32_t layer, Heat heat) { return 2 * layer + static_cast<uint32_t>(heat); }
  void join(SlotId slot) override;
  void part(SlotId slot) override { heaps_.remove(slot); }
  void note_use(ExpertId id) override { scores_[book().table_index(id)] += weight_; }
  SlotId lowest(uint32_t layer, Heat heat, const Pins& pins) const override { return heaps_.lowest_unpinned(heap(layer, heat), pins); }
  double rank(SlotId slot) const override { return heaps_.key(slot).score; }
  Status check_order(uint32_t layer, uint32_t cold, uint32_t hot) const override;
  void shrink_scores();

  const std::string name_;
  const double growth_;  // of a use's weight, a token

  SlotHeaps heaps_;             // [layers][Heat]
  std::vector<double> scores_;  // [layers][experts]
  double weight_ = 1;           // of a use now
  uint64_t clock_ = 0;
};

}  // namespace hotset
