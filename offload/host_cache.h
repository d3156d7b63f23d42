#pragma once

#include "offload/host_tier.h"

namespace hotset {

class HostCache {
 public:
  static Result<std::unique_ptr<HostCache>> create(const ExpertTable&, const ExpertSource&, const HostTierOptions&, std::unique_ptr<IoQueue>) {
    return error(Code::kUnsupported, "a bounded RAM tier is not in this build");
  }
  bool resident(ExpertId) const { return false; }
  std::span<const RecordPart> parts(ExpertId) const { return {}; }
  Status acquire(std::span<const ExpertId>, const HostTier::ArrivedFunction&) { return ok_status(); }
  void release(std::span<const ExpertId>) {}
  uint32_t max_batch() const { return 0; }
  uint32_t hint(std::span<const ExpertId>) { return 0; }
  void poll() {}
  void set_evict_listener(HostTier::EvictListener) {}
  void cancel_hints() {}
  void touch(ExpertId) {}
  void demote(ExpertId) {}
  void end_token() {}
  Status set_budget(uint64_t) { return ok_status(); }
  HostTierStats stats() const { return {}; }
  uint64_t size_bytes() const { return 0; }
  Status check() const { return ok_status(); }
};

}  // namespace hotset
