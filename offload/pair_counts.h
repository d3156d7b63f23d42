// PairCounts: how often an expert followed another one, and what the last choice says about the next by that.
//
// For each table (a layer), counts [from][to] that forget: when a row has seen kMostSeen it is halved. Two bytes a count; no more memory
// than `most_bytes`, else it stays empty and says nothing. One owner thread; nothing is allocated after creation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hotset {

class PairCounts {
 public:
  static constexpr uint64_t kMostBytes = uint64_t{64} << 20;

  PairCounts(uint32_t tables, uint32_t experts, uint64_t most_bytes = kMostBytes);

  bool empty() const { return counts_.empty(); }

  // Each of `to` followed each of `from`.
  void add(uint32_t table, std::span<const uint16_t> from, std::span<const uint16_t> to);

  // out[e] = half of the log2 of how much likelier `from` makes e than it is anyway, each of `from` taken as independent of
  // the others (naive Bayes). rarity[e] is 1 / (the rate at which e is used anyway). Both [experts]. O(experts * from).
  void evidence(uint32_t table, std::span<const uint16_t> from, std::span<const float> rarity, std::span<float> out) const;

 private:
  void halve(size_t row);
  void multiply_lifts(size_t row, size_t first_expert, std::span<const float> rarity, std::span<float> product) const;

  const size_t experts_;
  std::vector<uint16_t> counts_;  // [tables][from][to] in 1/kUnit
  std::vector<uint16_t> seen_;    // [tables][from] times that `from` was followed by something; no count of its row is larger
};

}  // namespace hotset
