// Perplexity: how well a model foretells a text. Pure arithmetic in double; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <hotset/hotset.h>

namespace hotset {

// -ln softmax(logits)[target], from log-sum-exp with the largest logit taken out. `target` must be an index of logits.
double negative_log_likelihood(std::span<const float> logits, hotset_token target);

// Sum of negative log-likelihoods over scored tokens.
struct LikelihoodSum {
  double total_nats = 0;
  uint64_t scored_tokens = 0;

  void add(double nats);
  double mean_nats() const;   // 0 when nothing was scored
  double perplexity() const;  // exp(mean)
};

// Cuts a text into windows of `window_tokens`, each its own context; the last may be shorter. A window of one token
// scores nothing and is left out, since a window's first token is not scored.
std::vector<std::span<const hotset_token>> evaluation_windows(std::span<const hotset_token> tokens, uint32_t window_tokens);

}  // namespace hotset
