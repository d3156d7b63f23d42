#include "offload/prefetch.h"

#include <algorithm>

namespace hotset {
namespace {

constexpr double kForget = 0.999;    // per scored guess: about a thousand back
constexpr double kLeastSeen = 64;    // guesses before a verdict
constexpr double kHysteresis = 1.2;  // how much better guesses must be to be taken up again

}  // namespace

Prefetch::Prefetch(const ExpertTable& table, const PrefetchOptions& options)
    : options_(options),
      layers_(table.layers()),
      stats_(table.layers()),
      // Pairs are only counted where they are asked for; the first layer's choices always.
      history_(options.mode == PrefetchMode::kHistory ? table.layers() : 0, table.experts(), options.top_k, options.vocab),
      active_(options.mode != PrefetchMode::kOff) {
  guess_.reserve(table.experts());
  cold_.reserve(table.experts());
  before_.reserve(table.experts());
}

void Prefetch::begin_token(uint32_t token, Residency& residency) {
  token_ = token;
  before_.clear();
  set_guess(0, history_.guess_first(token), residency);
  if (active_) residency.hint(0, guess_);
}

template <class Ids>
void Prefetch::set_guess(uint32_t layer, const Ids& ids, const Residency& residency) {
  guess_.clear();
  cold_.clear();
  guess_layer_ = layer;
  const size_t most = std::min<size_t>(options_.most_guesses == 0 ? options_.top_k : options_.most_guesses, ids.size());
  for (size_t i = 0; i < most; ++i) {
    guess_.push_back(static_cast<uint16_t>(ids[i]));
    cold_.push_back(!residency.in_ram(layer, ids[i]));
  }
}

void Prefetch::learn(uint32_t layer, std::span<const uint16_t> chosen) {
  if (layer == 0) history_.learn_first(token_, chosen);
  else if (options_.mode == PrefetchMode::kHistory) history_.learn(layer, before_, chosen);
  before_.assign(chosen.begin(), chosen.end());
}

void Prefetch::score(uint32_t layer, std::span<const uint16_t> chosen) {
  if (guess_.empty() || guess_layer_ != layer) return;
  PrefetchLayerStats& stats = stats_[layer];
  stats.chosen += chosen.size();
  for (size_t i = 0; i < guess_.size(); ++i) {
    const bool right = std::find(chosen.begin(), chosen.end(), guess_[i]) != chosen.end();
    ++stats.guessed;
    stats.right += right ? 1 : 0;
    if (!cold_[i]) continue;
    recent_guessed_ = recent_guessed_ * kForget + 1;
    recent_right_ = recent_right_ * kForget + (right ? 1 : 0);
  }
  judge();
}

void Prefetch::judge() {
  if (recent_guessed_ < kLeastSeen) return;
  const double precision = recent_right_ / recent_guessed_;
  if (precision < options_.least_precision) active_ = false;
  else if (precision > options_.least_precision * kHysteresis) active_ = true;
}

void Prefetch::chose(uint32_t layer, std::span<const uint16_t> chosen, std::span<const uint32_t> router_guess, bool next, Residency& residency) {
  score(layer, chosen);
  learn(layer, chosen);
  if (layer + 1 >= layers_ || options_.mode == PrefetchMode::kOff) return;
  if (options_.mode == PrefetchMode::kRouter) set_guess(layer + 1, router_guess, residency);
  else set_guess(layer + 1, history_.guess(layer + 1, chosen, options_.top_k), residency);
  if (active_ && next) residency.hint(layer + 1, guess_);
}

}  // namespace hotset
