// Prefetch: guesses which experts the next layer will choose, has them read ahead, and keeps the books on it.
//
// Advice only: it never changes a result. Guesses come from the next layer's router run early on the device, or from what
// was chosen together before (HistoryPredictor); those for the first layer from what the same token chose the last time. It
// looks at each layer's choice as soon as the host knows it, scores the guess made for that layer, and passes on its guess for
// the next. Unless told to go on whatever comes of it, it is used where tokens are faster with it (SpeedTrial). One thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "offload/expert_table.h"
#include "offload/history_predictor.h"
#include "offload/residency.h"
#include "offload/speed_trial.h"

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
  bool always = false;            // in use for every token; else where that is faster
};

class Prefetch {
 public:
  Prefetch(const ExpertTable& table, const PrefetchOptions& options);

  // Guesses are the router's: the device has to make them, in tokens in which this is active().
  bool asks_router() const { return options_.mode == PrefetchMode::kRouter; }
  // Reads ahead in the token under way: the host should look after every layer. Changes only with begin_token().
  bool active() const { return active_; }
  // In use, or being tried.
  bool in_use() const { return options_.mode != PrefetchMode::kOff && (options_.always || trial_.in_use()); }

  // No submit is in flight.
  void begin_token(uint32_t token, Residency& residency);
  // `layer` chose `chosen`.
  void chose(uint32_t layer, std::span<const uint16_t> chosen);
  // `layer` + 1 runs next: reads ahead what it may choose. `router_guess`: with asks_router() the router's guess, likeliest first.
  void guess_after(uint32_t layer, std::span<const uint32_t> router_guess, Residency& residency);
  // The token took this long.
  void end_token(uint64_t token_ns);

  std::span<const PrefetchLayerStats> layers() const { return stats_; }

 private:
  template <class Ids>
  void act_on(uint32_t layer, const Ids& ids, Residency& residency);
  void learn(uint32_t layer, std::span<const uint16_t> chosen);
  void score(uint32_t layer, std::span<const uint16_t> chosen);

  const PrefetchOptions options_;
  const uint32_t layers_;
  std::vector<PrefetchLayerStats> stats_;  // [layers]
  std::vector<uint16_t> guess_;            // for the layer guess_layer_
  uint32_t guess_layer_ = 0;
  HistoryPredictor history_;
  uint32_t token_ = 0;
  std::vector<uint16_t> before_;  // what the layer before chose
  SpeedTrial trial_;
  bool active_ = false;
};

}  // namespace hotset
