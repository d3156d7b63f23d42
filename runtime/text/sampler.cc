#include "runtime/text/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "platform/check.h"

namespace hotset {

namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr size_t kFirstSorted = 256;  // how many of the best are sorted before top-p looks further

bool is_finite_at_least(float value, float least) { return std::isfinite(value) && value >= least; }

// Higher logits first, of equals the lower id.
template <class Candidate>
bool is_better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

uint64_t system_seed() {
  std::random_device device;
  const uint64_t seed = static_cast<uint64_t>(device()) << 32 | device();
  return seed == 0 ? 1 : seed;
}

SamplerState first_state(const SamplerOptions& options) {
  const uint64_t seed = options.seed != 0 ? options.seed : system_seed();
  return {options, seed, seed};
}

}  // namespace

Status check_sampler_options(const SamplerOptions& o) {
  if (!is_finite_at_least(o.temperature, 0)) return error(Code::kInvalidArgument, "temperature must be 0 or more");
  if (!(o.top_p > 0 && o.top_p <= 1)) return error(Code::kInvalidArgument, "top-p must be above 0 and at most 1");
  if (!(o.min_p >= 0 && o.min_p <= 1)) return error(Code::kInvalidArgument, "min-p must be between 0 and 1");
  if (!(std::isfinite(o.repeat_penalty) && o.repeat_penalty > 0)) {
    return error(Code::kInvalidArgument, "repeat penalty must be above 0");
  }
  if (o.repeat_last_n > kMaxRepeatTokens) {
    return error(Code::kInvalidArgument, "repeat penalty looks back at most %u tokens", kMaxRepeatTokens);
  }
  return ok_status();
}

Sampler::Sampler(const SamplerOptions& options, uint32_t vocab_size) : Sampler(first_state(options), vocab_size) {}

Sampler::Sampler(const SamplerState& state, uint32_t vocab_size)
    : options_(state.options), seed_(state.seed), logits_(vocab_size), random_state_(state.random_state) {
  HOTSET_CHECK(check_sampler_options(options_).ok());
  HOTSET_CHECK(vocab_size > 0);
  candidates_.reserve(vocab_size);
  recent_.reserve(options_.repeat_last_n);
  penalised_.resize(vocab_size);
}

TokenId Sampler::sample(std::span<const float> logits) {
  HOTSET_CHECK(logits.size() == logits_.size());
  copy_logits(logits);
  penalise_recent();
  const TokenId best = best_token();
  if (options_.temperature == 0 || options_.top_k == 1 || logits_[static_cast<size_t>(best)] == kLowest) return best;
  keep_top_k();
  const Weights weights = weigh();
  // Both cuts keep a run of the best, so min-p may go first and leave top-p less to sort.
  keep_min_p(weights);
  keep_top_p(weights);
  return draw(weights);
}

void Sampler::accept(TokenId id) {
  if (options_.repeat_last_n == 0) return;
  if (recent_.size() < options_.repeat_last_n) {
    recent_.push_back(id);
    return;
  }
  recent_[recent_next_] = id;
  recent_next_ = (recent_next_ + 1) % recent_.size();
}

void Sampler::restart(std::span<const TokenId> ids) {
  recent_.clear();
  recent_next_ = 0;
  for (const TokenId id : ids.last(std::min<size_t>(ids.size(), options_.repeat_last_n))) accept(id);
}

void Sampler::copy_logits(std::span<const float> logits) {
  constexpr float kMost = std::numeric_limits<float>::max();
  for (size_t i = 0; i < logits.size(); ++i) {
    const float logit = logits[i];
    logits_[i] = std::isnan(logit) ? kLowest : std::min(logit, kMost);
  }
}

void Sampler::penalise_recent() {
  if (options_.repeat_penalty == 1.0f) return;
  if (++sample_number_ == 0) {  // wrapped round: old marks would look new
    std::fill(penalised_.begin(), penalised_.end(), 0);
    sample_number_ = 1;
  }
  for (const TokenId id : recent_) {
    const auto index = static_cast<size_t>(id);
    if (id < 0 || index >= logits_.size() || penalised_[index] == sample_number_) continue;
    penalised_[index] = sample_number_;
    float& logit = logits_[index];
    logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
    logit = std::min(logit, std::numeric_limits<float>::max());  // a penalty below 1 may overflow
  }
}

TokenId Sampler::best_token() const {
  size_t best = 0;
  for (size_t i = 1; i < logits_.size(); ++i) {
    if (logits_[i] > logits_[best]) best = i;
  }
  return static_cast<TokenId>(best);
}

void Sampler::keep_top_k() {
  candidates_.clear();
  const size_t keep = options_.top_k == 0 ? logits_.size() : std::min<size_t>(options_.top_k, logits_.size());
  for (size_t i = 0; i < keep; ++i) candidates_.push_back({logits_[i], static_cast<TokenId>(i)});
  if (keep == logits_.size()) return;
  // A heap with the worst kept one on top: nearly all of a large vocabulary fails the one comparison.
  std::make_heap(candidates_.begin(), candidates_.end(), is_better<Candidate>);
  for (size_t i = keep; i < logits_.size(); ++i) {
    if (logits_[i] <= candidates_.front().logit) continue;
    std::pop_heap(candidates_.begin(), candidates_.end(), is_better<Candidate>);
    candidates_.back() = {logits_[i], static_cast<TokenId>(i)};
    std::push_heap(candidates_.begin(), candidates_.end(), is_better<Candidate>);
  }
  std::sort_heap(candidates_.begin(), candidates_.end(), is_better<Candidate>);
}

Sampler::Weights Sampler::weigh() const {
  Weights weights;
  weights.best = kLowest;
  for (const Candidate& c : candidates_) weights.best = std::max(weights.best, c.logit);
  for (const Candidate& c : candidates_) weights.total += std::exp(c.logit - weights.best);
  return weights;
}

void Sampler::keep_min_p(const Weights& weights) {
  if (options_.min_p <= 0) return;
  const float least = weights.best + std::log(options_.min_p);
  std::erase_if(candidates_, [&](const Candidate& c) { return c.logit < least; });
}

void Sampler::keep_top_p(const Weights& weights) {
  if (options_.top_p >= 1) return;
  const double wanted = options_.top_p * weights.total;
  double mass = 0;
  size_t kept = 0;
  for (size_t sorted = 0; kept < candidates_.size() && mass < wanted; ++kept) {
    if (kept == sorted) {
      const size_t more = std::min(std::max(kFirstSorted, sorted * 3), candidates_.size() - sorted);
      const auto begin = candidates_.begin() + static_cast<ptrdiff_t>(sorted);
      const auto end = begin + static_cast<ptrdiff_t>(more);
      std::nth_element(begin, end, candidates_.end(), is_better<Candidate>);
      std::sort(begin, end, is_better<Candidate>);
      sorted += more;
    }
    mass += std::exp(candidates_[kept].logit - weights.best);
  }
  candidates_.resize(kept);
}

TokenId Sampler::draw(const Weights& weights) {
  const auto weight = [&](const Candidate& c) { return std::exp((c.logit - weights.best) / options_.temperature); };
  double total = 0;
  for (const Candidate& c : candidates_) total += weight(c);
  double rest = next_uniform() * total;
  TokenId last = candidates_.front().id;
  for (const Candidate& c : candidates_) {
    const double w = weight(c);
    if (w <= 0) continue;
    last = c.id;
    rest -= w;
    if (rest < 0) break;
  }
  return last;
}

// splitmix64 (Steele, Lea, Flood 2014), its top 53 bits as a number in [0, 1).
double Sampler::next_uniform() {
  random_state_ += 0x9E3779B97F4A7C15ull;
  uint64_t x = random_state_;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ x >> 27) * 0x94D049BB133111EBull;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1.0p-53;
}

}  // namespace hotset
