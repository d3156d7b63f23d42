// BenchSummary: many measurements as three numbers, and the prompt that benchmarks feed. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include <hotset/hotset.h>

namespace hotset {

struct BenchSummary {
  double median = 0;  // of an even count, the mean of the middle two
  double least = 0;
  double most = 0;
};

// All zero when there are no values.
BenchSummary summarize(std::vector<double> values);

// The same `count` ids in 0..vocab_size-1 on every machine, spread over the vocabulary.
std::vector<hotset_token> bench_prompt(uint32_t count, uint32_t vocab_size);

}  // namespace hotset
