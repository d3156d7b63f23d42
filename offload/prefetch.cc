#include "offload/prefetch.h"

#include <algorithm>

namespace hotset {
namespace {

constexpr double kForget = 0.999;    // per scored guess: about a thousand back
constexpr double kLeastSeen = 64;    // guesses before a verdict
constexpr double kHysteresis = 1.2;  // how much better guesses must be to be taken up again

}  // namespace

Prefetch::Prefetch(const ExpertTable& table, const PrefetchOptions& options)
    : options_(options), layers_(table.layers()), stats_(table.layers()), active_(options.mode != PrefetchMode::kOff) {
  guess_.reserve(table.experts());
  cold_.reserve(table.experts());
}

void Prefetch::begin_token(uint32_t, Residency&) { guess_.clear(); }

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
  guess_.clear();
  cold_.clear();
  if (options_.mode == PrefetchMode::kOff || layer + 1 >= layers_) return;
  const size_t most = std::min<size_t>(options_.most_guesses == 0 ? options_.top_k : options_.most_guesses, router_guess.size());
  for (size_t i = 0; i < most; ++i) {
    guess_.push_back(static_cast<uint16_t>(router_guess[i]));
    cold_.push_back(!residency.in_ram(layer + 1, router_guess[i]));
  }
  guess_layer_ = layer + 1;
  if (active_ && next) residency.hint(layer + 1, guess_);
}

}  // namespace hotset
