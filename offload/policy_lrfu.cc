#include "offload/policy_lrfu.h"

#include <algorithm>
#include <cmath>

namespace hotset {
namespace {

constexpr double kAdmitRatio = 1.5;  // uploads fall tenfold at the same hit rate (replays of routing traces)
constexpr double kMostWeight = 0x1p500;

}  // namespace

PolicyLrfu::PolicyLrfu(const PolicyShape& shape, std::string name, double half_life_tokens)
    : RankedPolicy(shape),
      name_(std::move(name)),
      growth_(half_life_tokens == kNoEnd ? 1 : std::exp2(1 / half_life_tokens)),
      heaps_(shape.slots, 2 * book().layers(), std::min(shape.slots, shape.experts)),
      scores_(book().table_size(), 0) {}

void PolicyLrfu::end_token() {
  weight_ *= growth_;
  if (weight_ > kMostWeight) shrink_scores();
}

// Scores and weight stay far from the largest double. O(experts + slots), once in thousands of tokens.
void PolicyLrfu::shrink_scores() {
  for (double& score : scores_) score /= weight_;
  for (uint32_t i = 0; i < 2 * book().layers(); ++i) {
    heaps_.rescore(i, [this](SlotId slot) { return SlotHeaps::Key{scores_[book().table_index(tenant_of(slot))], heaps_.key(slot).stamp}; });
  }
  weight_ = 1;
}

void PolicyLrfu::join(SlotId slot) {
  const ExpertId tenant = tenant_of(slot);
  heaps_.push(heap(tenant.layer, heat_of(slot)), slot, {scores_[book().table_index(tenant)], ++clock_});
}

bool PolicyLrfu::admits(ExpertId candidate, SlotId victim) { return worth(candidate) > kAdmitRatio * worth(tenant_of(victim)); }

Status PolicyLrfu::check_order(uint32_t layer, uint32_t cold, uint32_t hot) const {
  HOTSET_RETURN_IF_ERROR(heaps_.check(heap(layer, Heat::kCold), cold));
  return heaps_.check(heap(layer, Heat::kHot), hot);
}

}  // namespace hotset
