#include "runtime/engine/run_history.h"

namespace hotset {

void RunStretch::add(const RunStretch& other) {
  tokens += other.tokens;
  ns += other.ns;
  lookups += other.lookups;
  hits += other.hits;
  host_to_device_bytes += other.host_to_device_bytes;
  disk_to_host_bytes += other.disk_to_host_bytes;
}

RunHistory::RunHistory(uint32_t layers, uint32_t experts, uint32_t top_k)
    : layers_(layers), experts_(experts), top_k_(top_k), uses_(size_t{layers} * experts) {
  stretches_.reserve(kMostStretches);
}

void RunHistory::use(uint32_t layer, std::span<const uint16_t> ids) {
  for (const uint16_t id : ids) {
    if (layer < layers_ && id < experts_) ++uses_[size_t{layer} * experts_ + id];
  }
}

void RunHistory::token(const RunStretch& of_token) {
  if (!stretches_.empty() && stretches_.back().tokens < stretch_tokens_) {
    stretches_.back().add(of_token);
    return;
  }
  if (stretches_.size() == kMostStretches) {
    for (size_t i = 0; i < kMostStretches / 2; ++i) {
      RunStretch both = stretches_[2 * i];
      both.add(stretches_[2 * i + 1]);
      stretches_[i] = both;
    }
    stretches_.resize(kMostStretches / 2);
    stretch_tokens_ *= 2;
  }
  stretches_.push_back(of_token);
}

}  // namespace hotset
