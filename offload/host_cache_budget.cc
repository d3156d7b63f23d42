// HostCache: how many slots are open, and where they lie.
#include <algorithm>

#include "offload/host_cache.h"

namespace hotset {

Status HostCache::set_budget(uint64_t bytes) {
  if (pinned_ > 0) return error(Code::kInvalidArgument, "the budget of RAM cannot change while experts are in use");
  HOTSET_ASSIGN(const auto wanted, plan_host_slots(host_demands(table_, source_, top_k_), bytes));
  HOTSET_RETURN_IF_ERROR(drain());
  return open_slots(wanted);
}

// Shrinks before it grows, so that the budget holds at every moment; what the system refuses to give is no reason to fail once
// there is something to go on with.
Status HostCache::open_slots(std::span<const uint32_t> wanted) {
  for (uint32_t c = 0; c < table_.classes(); ++c) close_slots(SizeClassId{c}, wanted[c]);
  Status grown = ok_status();
  for (uint32_t c = 0; c < table_.classes() && grown.ok(); ++c) grown = open_more(SizeClassId{c}, wanted[c]);
  set_limits();
  return grown;
}

Status HostCache::open_more(SizeClassId size_class, uint32_t wanted) {
  uint32_t slot = index_of(memory_->first(size_class));
  const uint32_t end = slot + memory_->slots(size_class);
  for (uint32_t missing = wanted - std::min(wanted, cache_.open_slots(size_class)); missing > 0;) {
    while (!cache_.closed(SlotId{slot})) ++slot;
    uint32_t run = 1;  // neighbours are opened together, so that huge pages may reach over them
    while (run < missing && slot + run < end && cache_.closed(SlotId{slot + run})) ++run;
    HOTSET_RETURN_IF_ERROR(memory_->open(SlotId{slot}, run, size_class));
    for (uint32_t i = 0; i < run; ++i) cache_.open(SlotId{slot + i});
    slot += run;
    missing -= run;
  }
  return ok_status();
}

// Empty slots first, then those whose tenants matter least.
void HostCache::close_slots(SizeClassId size_class, uint32_t wanted) {
  if (cache_.open_slots(size_class) <= wanted) return;
  struct Candidate {
    double worth;
    SlotId slot;
  };
  std::vector<Candidate> candidates;
  for (uint32_t i = 0; i < memory_->slots(size_class); ++i) {
    const SlotId slot{index_of(memory_->first(size_class)) + i};
    if (cache_.closed(slot)) continue;
    const bool spare = cache_.empty(slot) || at(slot).demoted;
    candidates.push_back({spare ? -1.0 - cache_.empty(slot) : cache_.worth(cache_.tenant(slot)), slot});
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.worth < b.worth; });
  for (size_t i = 0; cache_.open_slots(size_class) > wanted; ++i) {
    const SlotId slot = candidates[i].slot;
    if (!cache_.empty(slot)) drop(slot);
    cache_.close(slot);
    memory_->close(slot, size_class);
  }
}

void HostCache::set_limits() {
  // Pins of one acquire after the other may all be of one class.
  max_batch_ = UINT32_MAX;
  for (uint32_t c = 0; c < table_.classes(); ++c) max_batch_ = std::min(max_batch_, cache_.open_slots(SizeClassId{c}));
  max_hints_ = std::clamp(max_batch_ / 2, 1u, queue_depth_);
}

std::vector<SlotRun> HostCache::slot_runs() const {
  std::vector<SlotRun> runs;
  for (uint32_t c = 0; c < table_.classes(); ++c) {
    const SizeClassId size_class{c};
    const uint64_t slot_bytes = memory_->slot_bytes(size_class);
    const uint32_t first = index_of(memory_->first(size_class));
    bool joined = false;  // the slot before is open and of this class
    for (uint32_t slot = first; slot < first + memory_->slots(size_class); ++slot) {
      const bool open = !cache_.closed(SlotId{slot});
      const std::span<std::byte> memory = memory_->bytes(SlotId{slot}, size_class);
      if (open && joined) runs.back().memory = {runs.back().memory.data(), runs.back().memory.size() + slot_bytes};
      else if (open) runs.push_back({memory, slot_bytes});
      joined = open;
    }
  }
  return runs;
}

}  // namespace hotset
