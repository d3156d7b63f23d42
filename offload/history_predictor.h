// HistoryPredictor: guesses the experts of a layer from what was chosen together before, without any weights.
//
// Between neighbouring layers it counts which expert followed which; a guess ranks the next layer's experts by the sum over
// the chosen ones of log P(next | chosen), with one added to every count (naive Bayes). The first layer has no layer before it: there the
// input token stands for what it chose the last time. Counts are halved as they fill, so old texts fade. Bounded memory,
// 2 bytes a pair of experts and layer; nothing is allocated after creation. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hotset {

class HistoryPredictor {
 public:
  // Models with more pairs than kMostPairs are not counted: guesses are empty.
  static constexpr uint64_t kMostPairs = 64u << 20;

  HistoryPredictor(uint32_t layers, uint32_t experts, uint32_t top_k, uint32_t vocab);

  // `layer` chose `chosen` after the layer before it had chosen `before` (empty for layer 0).
  void learn(uint32_t layer, std::span<const uint16_t> before, std::span<const uint16_t> chosen);
  // Layer 0 chose this for the input token.
  void learn_first(uint32_t token, std::span<const uint16_t> chosen);

  // The likeliest experts of `layer` (1 or above) after the layer before it chose `before`, the likeliest first; at most `most`. Valid
  // until the next call. Empty before anything was learned.
  std::span<const uint16_t> guess(uint32_t layer, std::span<const uint16_t> before, uint32_t most);
  // What layer 0 chose for the token the last time; empty when it never did.
  std::span<const uint16_t> guess_first(uint32_t token) const;

 private:
  size_t row(uint32_t layer, uint32_t before) const { return (size_t{layer} * experts_ + before) * experts_; }

  const uint32_t experts_;
  const uint32_t top_k_;
  std::vector<uint16_t> counts_;  // [layers][experts before][experts]; empty: too many
  std::vector<uint32_t> totals_;  // [layers][experts before]
  std::vector<uint16_t> first_;   // [vocab][top_k]; kUnknown: never seen
  std::vector<float> scores_;     // [experts]
  std::vector<uint16_t> ranked_;  // [experts]
};

}  // namespace hotset
