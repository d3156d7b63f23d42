#include "runtime/engine/engine_counts.h"

namespace hotset {

EngineCounts EngineCounts::of(const LoadedModel& loaded) {
  using enum EngineCount;
  const ResidencyStats residency = loaded.tiers().residency().stats();
  const DeviceLinkStats link = loaded.tiers().link_stats();
  const HostTierStats host = loaded.tiers().host().stats();
  EngineCounts now;
  now.at(kLookups) = residency.lookups;
  now.at(kHits) = residency.hits;
  now.at(kDecodeLookups) = residency.decode_lookups;
  now.at(kDecodeHits) = residency.decode_hits;
  now.at(kInPlace) = residency.in_place;
  now.at(kOnHost) = residency.on_host;
  now.at(kPromotions) = residency.promotions;
  now.at(kLinkBytes) = link.bytes;
  now.at(kLinkBusyNs) = link.busy_ns;
  now.at(kDiskBytes) = host.disk_bytes;
  now.at(kDiskBusyNs) = host.busy_ns;
  now.at(kRamHits) = host.demand_hits;
  now.at(kRamMisses) = host.demand_misses;
  now.at(kHinted) = host.hinted;
  now.at(kHintUseful) = host.hint_useful;
  now.at(kHintLate) = host.hint_late;
  now.at(kHintWasted) = host.hint_wasted;
  now.at(kSubmits) = loaded.backend().submit_count();
  return now;
}

void EngineCounts::add(const EngineCounts& before, const EngineCounts& after) {
  for (size_t i = 0; i < values_.size(); ++i) values_[i] += after.values_[i] - before.values_[i];
}

}  // namespace hotset
