#include "runtime/app/bench_summary.h"

#include <algorithm>

#include "platform/check.h"

namespace hotset {

BenchSummary summarize(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

std::vector<hotset_token> bench_prompt(uint32_t count, uint32_t vocab_size) {
  HOTSET_CHECK(vocab_size > 0);
  std::vector<hotset_token> prompt;
  prompt.reserve(count);
  uint32_t state = 1;
  for (uint32_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;  // the generator of Numerical Recipes; its upper bits are the random ones
    prompt.push_back(static_cast<hotset_token>((uint64_t{state >> 8} * vocab_size) >> 24));
  }
  return prompt;
}

}  // namespace hotset
