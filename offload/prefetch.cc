#include "offload/prefetch.h"

#include <algorithm>

namespace hotset {

Prefetch::Prefetch(const ExpertTable& table, const PrefetchOptions& options)
    : options_(options),
      layers_(table.layers()),
      stats_(table.layers()),
      // Pairs are only counted where they are asked for; the first layer's choices always.
      history_(options.mode == PrefetchMode::kHistory ? table.layers() : 0, table.experts(), options.top_k, options.vocab) {
  guess_.reserve(table.experts());
  before_.reserve(table.experts());
}

void Prefetch::begin_token(uint32_t token, Residency& residency) {
  token_ = token;
  before_.clear();
  guess_.clear();
  active_ = options_.mode != PrefetchMode::kOff && (options_.always || trial_.on());
  if (active_) act_on(0, history_.guess_first(token), residency);
}

template <class Ids>
void Prefetch::act_on(uint32_t layer, const Ids& ids, Residency& residency) {
  guess_layer_ = layer;
  const size_t most = std::min<size_t>(options_.most_guesses == 0 ? options_.top_k : options_.most_guesses, ids.size());
  guess_.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(most));
  residency.hint(layer, guess_);
}

void Prefetch::learn(uint32_t layer, std::span<const uint16_t> chosen) {
  if (layer == 0) history_.learn_first(token_, chosen);
  else if (options_.mode == PrefetchMode::kHistory) history_.learn(layer, before_, chosen);
  before_.assign(chosen.begin(), chosen.end());
}

void Prefetch::score(uint32_t layer, std::span<const uint16_t> chosen) {
  if (guess_.empty() || guess_layer_ != layer) return;
  PrefetchLayerStats& stats = stats_[layer];
  stats.guessed += guess_.size();
  stats.chosen += chosen.size();
  for (const uint16_t id : guess_) stats.right += std::find(chosen.begin(), chosen.end(), id) != chosen.end() ? 1 : 0;
}

void Prefetch::chose(uint32_t layer, std::span<const uint16_t> chosen) {
  score(layer, chosen);
  learn(layer, chosen);
}

void Prefetch::guess_after(uint32_t layer, std::span<const uint32_t> router_guess, Residency& residency) {
  if (!active_ || layer + 1 >= layers_) return;
  if (asks_router()) act_on(layer + 1, router_guess, residency);
  else act_on(layer + 1, history_.guess(layer + 1, before_, options_.top_k), residency);
}

void Prefetch::end_token(uint64_t token_ns) { trial_.end_token(token_ns); }

}  // namespace hotset
