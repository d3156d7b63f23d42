#include "offload/history_predictor.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace hotset {
namespace {

constexpr uint32_t kMostTotal = 4096;  // of a row before it is halved: a few hundred tokens of a well-used expert
constexpr uint16_t kUnknown = UINT16_MAX;

}  // namespace

HistoryPredictor::HistoryPredictor(uint32_t layers, uint32_t experts, uint32_t top_k, uint32_t vocab)
    : experts_(experts), top_k_(top_k), first_(size_t{vocab} * top_k, kUnknown), scores_(experts), ranked_(experts) {
  const uint64_t pairs = uint64_t{layers} * experts * experts;
  if (pairs > kMostPairs) return;
  counts_.resize(pairs);
  totals_.resize(size_t{layers} * experts);
}

void HistoryPredictor::learn(uint32_t layer, std::span<const uint16_t> before, std::span<const uint16_t> chosen) {
  if (counts_.empty()) return;
  for (const uint16_t from : before) {
    uint16_t* const counts = counts_.data() + row(layer, from);
    uint32_t& total = totals_[size_t{layer} * experts_ + from];
    for (const uint16_t to : chosen) ++counts[to];
    total += static_cast<uint32_t>(chosen.size());
    if (total < kMostTotal) continue;
    total = 0;
    for (uint32_t to = 0; to < experts_; ++to) total += counts[to] /= 2;
  }
}

void HistoryPredictor::learn_first(uint32_t token, std::span<const uint16_t> chosen) {
  const size_t at = size_t{token} * top_k_;
  if (at + top_k_ <= first_.size() && chosen.size() == top_k_) std::copy(chosen.begin(), chosen.end(), first_.begin() + static_cast<std::ptrdiff_t>(at));
}

std::span<const uint16_t> HistoryPredictor::guess_first(uint32_t token) const {
  const size_t at = size_t{token} * top_k_;
  if (at + top_k_ > first_.size() || first_[at] == kUnknown) return {};
  return std::span(first_).subspan(at, top_k_);
}

std::span<const uint16_t> HistoryPredictor::guess(uint32_t layer, std::span<const uint16_t> before, uint32_t most) {
  if (counts_.empty()) return {};
  std::fill(scores_.begin(), scores_.end(), 0.0f);
  bool known = false;
  for (const uint16_t from : before) {
    const uint16_t* const counts = counts_.data() + row(layer, from);
    const uint32_t total = totals_[size_t{layer} * experts_ + from];
    known = known || total > 0;
    const float log_all = std::log(static_cast<float>(total + experts_));
    for (uint32_t to = 0; to < experts_; ++to) scores_[to] += std::log(static_cast<float>(counts[to] + 1)) - log_all;
  }
  if (!known) return {};
  std::iota(ranked_.begin(), ranked_.end(), uint16_t{0});
  const uint32_t count = std::min(most, experts_);
  std::partial_sort(ranked_.begin(), ranked_.begin() + count, ranked_.end(),
                    [&](uint16_t a, uint16_t b) { return scores_[a] != scores_[b] ? scores_[a] > scores_[b] : a < b; });
  return std::span<const uint16_t>(ranked_).first(count);
}

}  // namespace hotset
