#include "offload/policy_belady.h"

#include <algorithm>

namespace hotset {

FutureUses::FutureUses(uint32_t layers, uint32_t experts) : experts_(experts), starts_(size_t{layers} * experts + 1, 0) {}

void FutureUses::begin_adding() {
  for (size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
  turns_.resize(starts_.back());
  rewind();
}

void FutureUses::rewind() { next_.assign(starts_.begin(), starts_.end() - 1); }

PolicyBelady::PolicyBelady(const PolicyShape& shape, FutureUses future)
    : RankedPolicy(shape), future_(std::move(future)), heaps_(shape.slots, 2 * book().layers(), std::min(shape.slots, shape.experts)) {}

Status PolicyBelady::check_order(uint32_t layer, uint32_t cold, uint32_t hot) const {
  HOTSET_RETURN_IF_ERROR(heaps_.check(heap(layer, Heat::kCold), cold));
  return heaps_.check(heap(layer, Heat::kHot), hot);
}

}  // namespace hotset
