// Sampler: picks the next token from the logits.
//
// Deterministic: the same options (with a seed that is not 0), logits and accepted tokens give the same ids on every machine
// whose exp() agrees. Nothing is allocated after construction. One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "platform/status.h"
#include "runtime/text/token.h"

namespace hotset {

// How the next token is picked. Temperature 0 is greedy. Order: repeat penalty, top-k, top-p, min-p, temperature.
struct SamplerOptions {
  uint64_t seed = 0;          // 0: from the system's entropy
  float temperature = 0.8f;
  uint32_t top_k = 40;        // 0: all
  float top_p = 0.95f;        // 1: all
  float min_p = 0.05f;        // 0: all
  float repeat_penalty = 1.0f;  // 1: none; divides positive and multiplies negative logits of recent tokens
  uint32_t repeat_last_n = 64;
};

constexpr uint32_t kMaxRepeatTokens = 1u << 16;  // that repeat_last_n may be

// Error: a number that is not finite or outside what its field can be; says which.
Status check_sampler_options(const SamplerOptions& options);

// What a sampler's picks follow from, but for the recent tokens.
struct SamplerState {
  SamplerOptions options;
  uint64_t seed = 0;          // in use
  uint64_t random_state = 0;
};

class Sampler {
 public:
  // `options` as check_sampler_options takes them; others are a bug.
  Sampler(const SamplerOptions& options, uint32_t vocab_size);
  // Goes on where another one is. Its options likewise.
  Sampler(const SamplerState& state, uint32_t vocab_size);

  // An id within `logits` [vocab_size]. NaN counts as minus infinity; of equal best logits the lowest id is best; when no
  // logit is above minus infinity, id 0.
  TokenId sample(std::span<const float> logits);

  // Remembers `id` for the repeat penalty: call it for prompt tokens and for sampled ones.
  void accept(TokenId id);
  // Forgets what was accepted, and accepts these in its place.
  void restart(std::span<const TokenId> ids);

  // The seed in use, also when it came from the system's entropy.
  uint64_t seed() const { return seed_; }
  SamplerState state() const { return {options_, seed_, random_state_}; }

 private:
  struct Candidate {
    float logit;
    TokenId id;
  };
  struct Weights {
    float best = 0;     // largest logit
    double total = 0;   // sum of exp(logit - best)
  };

  void copy_logits(std::span<const float> logits);
  void penalise_recent();
  TokenId best_token() const;
  void keep_top_k();
  Weights weigh() const;
  void keep_top_p(const Weights& weights);
  void keep_min_p(const Weights& weights);
  TokenId draw(const Weights& weights);
  double next_uniform();

  const SamplerOptions options_;
  const uint64_t seed_;
  std::vector<float> logits_;          // [vocab_size] cleaned and penalised
  std::vector<Candidate> candidates_;  // capacity vocab_size
  std::vector<TokenId> recent_;        // ring of the last repeat_last_n tokens
  size_t recent_next_ = 0;
  std::vector<uint32_t> penalised_;    // [vocab_size] the sample() in which a token was last penalised
  uint32_t sample_number_ = 0;
  uint64_t random_state_;
};

}  // namespace hotset
