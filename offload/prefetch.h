// Prefetch: guesses which experts the next layer will choose, has them read ahead, and keeps the books on it.
//
// Advice only: it never changes a result. Guesses come from the next layer's router run early on the device, or from what
// was chosen together before (HistoryPredictor); those for the first layer from what the same token chose the last time. It
// looks at each layer's choice as soon as the host knows it, scores the guess made for that layer, and passes on its guess for
// the next. When too few guesses come true it stops asking for reads, goes on scoring, and takes them up again when guesses
// have become better. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "offload/expert_table.h"
#include "offload/history_predictor.h"
#include "offload/residency.h"

namespace hotset {

enum class PrefetchMode : uint8_t { kOff, kRouter, kHistory };

// Guesses of one layer, whether or not they were acted on.
struct PrefetchLayerStats {
  uint64_t guessed = 0;  // experts
  uint64_t right = 0;    // of these, chosen
  uint64_t chosen = 0;   // experts that were chosen when there was a guess
  double recall() const { return chosen == 0 ? 0 : static_cast<double>(right) / static_cast<double>(chosen); }
  double precision() const { return guessed == 0 ? 0 : static_cast<double>(right) / static_cast<double>(guessed); }
};

struct PrefetchOptions {
  PrefetchMode mode = PrefetchMode::kOff;
  uint32_t top_k = 0;             // experts that a layer chooses
  uint32_t vocab = 0;             // tokens; those of the first layer are remembered by token
  uint32_t most_guesses = 0;      // the likeliest of a guess that are read ahead; 0: top_k
  double least_precision = 0.25;  // of the read-ahead guesses that were not in RAM; below it nothing is read ahead
};

class Prefetch {
 public:
  Prefetch(const ExpertTable& table, const PrefetchOptions& options);

  // Guesses are the router's: the device has to make them.
  bool asks_router() const { return options_.mode == PrefetchMode::kRouter; }
  // The host should look after every layer.
  bool wants_every_layer() const { return active_; }
  bool active() const { return active_; }

  // No submit is in flight.
  void begin_token(uint32_t token, Residency& residency);
  // `layer` chose `chosen`. `router_guess`: the router's guess for the layer after it, likeliest first. `next`: that one has not run yet.
  void chose(uint32_t layer, std::span<const uint16_t> chosen, std::span<const uint32_t> router_guess, bool next, Residency& residency);

  std::span<const PrefetchLayerStats> layers() const { return stats_; }

 private:
  template <class Ids>
  void set_guess(uint32_t layer, const Ids& ids, const Residency& residency);
  void learn(uint32_t layer, std::span<const uint16_t> chosen);
  void score(uint32_t layer, std::span<const uint16_t> chosen);
  void judge();

  const PrefetchOptions options_;
  const uint32_t layers_;
  std::vector<PrefetchLayerStats> stats_;  // [layers]
  std::vector<uint16_t> guess_;            // for the layer guess_layer_
  uint32_t guess_layer_ = 0;
  HistoryPredictor history_;
  uint32_t token_ = 0;
  std::vector<uint16_t> before_;  // what the layer before chose
  double recent_guessed_ = 0;  // decayed: read-ahead guesses that RAM did not hold,
  double recent_right_ = 0;    // and those of them that were chosen
  std::vector<bool> cold_;     // [guess_] was not in RAM when guessed
  bool active_;
};

}  // namespace hotset
