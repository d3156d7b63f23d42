#include "runtime/app/perplexity.h"

#include <algorithm>
#include <cmath>

#include "platform/check.h"

namespace hotset {

double negative_log_likelihood(std::span<const float> logits, hotset_token target) {
  HOTSET_CHECK(target >= 0 && static_cast<size_t>(target) < logits.size());
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum) - static_cast<double>(logits[static_cast<size_t>(target)]);
}

void LikelihoodSum::add(double nats) {
  total_nats += nats;
  ++scored_tokens;
}

double LikelihoodSum::mean_nats() const { return scored_tokens == 0 ? 0 : total_nats / static_cast<double>(scored_tokens); }

double LikelihoodSum::perplexity() const { return std::exp(mean_nats()); }

std::vector<std::span<const hotset_token>> evaluation_windows(std::span<const hotset_token> tokens, uint32_t window_tokens) {
  std::vector<std::span<const hotset_token>> windows;
  for (size_t start = 0; start + 1 < tokens.size(); start += window_tokens) {
    const auto window = tokens.subspan(start, std::min<size_t>(window_tokens, tokens.size() - start));
    if (window.size() > 1) windows.push_back(window);
  }
  return windows;
}

}  // namespace hotset
