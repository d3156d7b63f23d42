// UseForecast: how soon each expert will be used again, learned from the uses themselves.
//
// For every expert it keeps how often it was used lately (at five half-lives, against an even share), and what the layer's last
// choice says about its next one (pair counts). A logistic regression over these, one for all layers, learns while tokens
// run: its value is the chance of a use at the layer's next turn plus kDiscount times the value then, that is kDiscount to
// the power of the turns until the next use, as expected. On routing traces of six models this closes 5 to 40 % of the gap that
// is left between decayed frequency and Belady; a longer view (a discount nearer 1), hazards by age, weights of each layer, and choices of
// other layers were tried and bring nothing more.
// A turn costs O(experts * top-k). One owner thread; nothing is allocated after creation.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "offload/expert.h"
#include "offload/pair_counts.h"

namespace hotset {

class UseForecast {
 public:
  struct Shape {
    uint32_t layers = 0;
    uint32_t experts = 0;
    uint32_t top_k = 0;  // experts that a token uses of a layer, as far as known
  };
  static constexpr float kDiscount = 0.7f;

  explicit UseForecast(const Shape& shape, float discount = kDiscount);

  // A token used the expert. Uses of one layer that follow one another are one turn of that layer.
  void use(ExpertId id);
  void end_token();
  // The layer whose uses were told but not yet taken in.
  std::optional<uint32_t> pending() const { return turn_.empty() ? std::nullopt : std::optional(turn_layer_); }
  // Takes them in: the forecasts of that layer change, those of others do not.
  void settle();

  // As of the last turn of the layer: 0 before its first, then within (0, 1).
  float value(ExpertId id) const { return row(id.layer, kValue)[id.expert]; }
  std::span<const float> values(uint32_t layer) const { return {row(layer, kValue), shape_.experts}; }

 private:
  static constexpr uint32_t kPaces = 5;              // half-lives
  static constexpr uint32_t kFeatures = kPaces + 1;  // of each expert: log rates, evidence of pairs
  static constexpr uint32_t kSum = 0;                // rows of a layer: decayed sums of uses [kPaces],
  static constexpr uint32_t kFeature = kPaces;       // features [kFeatures],
  static constexpr uint32_t kValue = kFeature + kFeatures;
  static constexpr uint32_t kRows = kValue + 1;
  using Weights = std::array<float, kFeatures + 1>;  // of the features, then of 1

  struct Layer {
    uint64_t turns = 0;
    uint64_t token = 0;                 // of the last turn
    std::array<float, kPaces> seen{};   // decayed sums of turns
    std::vector<uint16_t> choice;       // of the last turn
  };

  float* row(uint32_t layer, uint32_t which) { return &rows_[(size_t{layer} * kRows + which) * shape_.experts]; }
  const float* row(uint32_t layer, uint32_t which) const { return &rows_[(size_t{layer} * kRows + which) * shape_.experts]; }
  void begin_turn(uint32_t layer);
  void add_to_turn(uint32_t layer);
  void compute_features(uint32_t layer);
  void compute_rates(uint32_t layer, uint32_t pace, float* out) const;
  void compute_values(uint32_t layer);
  void learn(uint32_t layer);
  void step(const Weights& gradient);

  const Shape shape_;
  const float discount_;
  const float even_share_;  // the chance of an expert that is as likely as any other

  PairCounts pairs_;            // from a layer's choice to its next
  std::vector<Layer> layers_;
  std::vector<float> rows_;     // [layers][kRows][experts]
  Weights weights_;
  Weights squares_;             // decayed means of squared gradients
  uint64_t token_ = 1;
  uint32_t turn_layer_ = 0;
  std::vector<uint16_t> turn_;  // experts used in the turn under way
  // What the running layer's turn before left, until it has been learned from.
  std::vector<float> old_features_;  // [kFeatures][experts]
  std::vector<float> old_values_;    // [experts]
  std::vector<float> scratch_;       // [2][experts]
};

}  // namespace hotset
