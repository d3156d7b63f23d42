#include "offload/pair_counts.h"

#include <algorithm>

#include "offload/fast_math.h"
#include "platform/check.h"

namespace hotset {
namespace {

constexpr uint32_t kUnit = 256;      // of a count, so that halving keeps fractions
constexpr uint32_t kMostSeen = 192;  // a row remembers 96 to 192 of its last uses; 50 to 1000 do as well on routing traces
constexpr float kPriorSeen = 8;      // how many uses the base rates weigh against a row's own
static_assert(kMostSeen * kUnit <= UINT16_MAX);

constexpr size_t kFactors = 8;  // so many factors of at most 2^12 fit a float
constexpr size_t kBlock = 64;   // experts at a time, so that products stay in the first cache

}  // namespace

PairCounts::PairCounts(uint32_t tables, uint32_t experts, uint64_t most_bytes) : experts_(experts) {
  const uint64_t count = uint64_t{tables} * experts * experts;
  if (count > most_bytes / sizeof(uint16_t)) return;
  counts_.assign(count, 0);
  seen_.assign(uint64_t{tables} * experts, 0);
}

void PairCounts::halve(size_t row) {
  seen_[row] /= 2;
  for (size_t e = 0; e < experts_; ++e) counts_[row * experts_ + e] /= 2;
}

void PairCounts::add(uint32_t table, std::span<const uint16_t> from, std::span<const uint16_t> to) {
  if (empty() || to.empty()) return;
  for (const uint16_t expert : from) {
    const size_t row = table * experts_ + expert;
    if (seen_[row] == kMostSeen) halve(row);
    ++seen_[row];
    for (const uint16_t next : to) counts_[row * experts_ + next] = static_cast<uint16_t>(counts_[row * experts_ + next] + kUnit);
  }
}

void PairCounts::multiply_lifts(size_t row, size_t first_expert, std::span<const float> rarity, std::span<float> product) const {
  const uint16_t* counts = &counts_[row * experts_ + first_expert];
  const float share = 1.0f / (static_cast<float>(seen_[row]) + kPriorSeen);
  for (size_t i = 0; i < product.size(); ++i) {
    product[i] *= (static_cast<float>(counts[i]) * (1.0f / kUnit) * rarity[first_expert + i] + kPriorSeen) * share;
  }
}

void PairCounts::evidence(uint32_t table, std::span<const uint16_t> from, std::span<const float> rarity, std::span<float> out) const {
  std::fill(out.begin(), out.end(), 0.0f);
  if (empty()) return;
  HOTSET_CHECK(rarity.size() == experts_ && out.size() == experts_);
  for (size_t first = 0; first < experts_; first += kBlock) {
    const size_t count = std::min(kBlock, experts_ - first);
    for (size_t next = 0; next < from.size(); next += kFactors) {
      float product[kBlock];
      std::fill_n(product, count, 1.0f);
      for (const uint16_t expert : from.subspan(next, std::min(kFactors, from.size() - next))) {
        multiply_lifts(table * experts_ + expert, first, rarity, {product, count});
      }
      for (size_t i = 0; i < count; ++i) out[first + i] += 0.5f * fast_log2(product[i]);
    }
  }
}

}  // namespace hotset
