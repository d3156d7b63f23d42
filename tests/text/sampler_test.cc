#include "runtime/text/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "platform/clock.h"

using namespace hotset;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Everything off but the temperature.
SamplerOptions plain(float temperature) {
  SamplerOptions options;
  options.seed = 7;
  options.temperature = temperature;
  options.top_k = 0;
  options.top_p = 1;
  options.min_p = 0;
  return options;
}

// How often each id is drawn.
std::vector<int> draw(const SamplerOptions& options, const std::vector<float>& logits, int draws) {
  Sampler sampler(options, static_cast<uint32_t>(logits.size()));
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < draws; ++i) ++counts[static_cast<size_t>(sampler.sample(logits))];
  return counts;
}

std::vector<float> noise(uint32_t count) {
  std::vector<float> logits(count);
  uint32_t state = 1;
  for (float& logit : logits) {
    state = state * 1664525u + 1013904223u;
    logit = static_cast<float>(state >> 8) / 1e6f;
  }
  return logits;
}

}  // namespace

TEST_CASE("temperature 0 takes the best, the lowest id of equals") {
  Sampler sampler(plain(0), 4);
  CHECK(sampler.sample(std::vector<float>{1, 3, 3, 2}) == 1);
  CHECK(sampler.sample(std::vector<float>{-1, -3, -3, -0.5f}) == 3);
}

TEST_CASE("logits that are not numbers never win and never crash") {
  for (const float temperature : {0.0f, 1.0f}) {
    SamplerOptions options = plain(temperature);
    options.min_p = 0.01f;
    options.top_p = 0.9f;
    Sampler sampler(options, 3);
    CHECK(sampler.sample(std::vector<float>{kNan, 1, kNan}) == 1);
    CHECK(sampler.sample(std::vector<float>{-kInf, -kInf, -kInf}) == 0);
    CHECK(sampler.sample(std::vector<float>{kNan, kNan, kNan}) == 0);
    CHECK(sampler.sample(std::vector<float>{0, kInf, 5}) == 1);
    CHECK(sampler.sample(std::vector<float>{-kInf, -1e38f, -kInf}) == 1);
  }
}

TEST_CASE("draws follow the softmax of the logits over the temperature") {
  const std::vector<float> logits = {0, std::log(2.0f), std::log(5.0f)};
  const auto counts = draw(plain(1), logits, 80000);
  CHECK(counts[0] == doctest::Approx(10000).epsilon(0.05));
  CHECK(counts[1] == doctest::Approx(20000).epsilon(0.05));
  CHECK(counts[2] == doctest::Approx(50000).epsilon(0.05));
  const auto sharp = draw(plain(0.5f), logits, 60000);  // squares: 1, 4, 25
  CHECK(sharp[0] == doctest::Approx(2000).epsilon(0.1));
  CHECK(sharp[2] == doctest::Approx(50000).epsilon(0.05));
}

TEST_CASE("top-k, top-p and min-p cut the tail") {
  const std::vector<float> logits = {std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)};
  SamplerOptions options = plain(1);
  options.top_k = 2;
  auto counts = draw(options, logits, 2000);
  CHECK((counts[0] == 0 && counts[2] == 0 && counts[1] > 0 && counts[3] > 0));
  options = plain(1);
  options.top_p = 0.75f;  // 0.4 + 0.3 do not reach it, 0.2 more does
  counts = draw(options, logits, 2000);
  CHECK((counts[0] == 0 && counts[2] > 0));
  options.top_p = 0.3f;
  CHECK(draw(options, logits, 100)[1] == 100);
  options = plain(1);
  options.min_p = 0.6f;  // of 0.4
  counts = draw(options, logits, 2000);
  CHECK((counts[0] == 0 && counts[2] == 0 && counts[3] > 0));
}

TEST_CASE("top-p means the mass of what top-k kept, not of what min-p kept") {
  // Of 0.5, 0.3, 0.2 min-p keeps the first two; 0.5 alone is below 0.6 of all but not of those two.
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  SamplerOptions options = plain(1);
  options.min_p = 0.5f;
  options.top_p = 0.6f;
  const auto counts = draw(options, logits, 2000);
  CHECK((counts[0] > 0 && counts[1] > 0 && counts[2] == 0));
}

TEST_CASE("top-k keeps the best of a large vocabulary") {
  const std::vector<float> logits = noise(5000);
  std::vector<float> best = logits;
  std::sort(best.begin(), best.end(), std::greater<>());
  SamplerOptions options = plain(1000);  // nearly uniform over what is kept
  options.top_k = 10;
  const auto counts = draw(options, logits, 2000);
  for (size_t i = 0; i < logits.size(); ++i) CHECK((counts[i] > 0) == (logits[i] >= best[9]));
}

TEST_CASE("top-p over a flat vocabulary looks past the first few hundred") {
  SamplerOptions options = plain(1);
  options.top_p = 0.5f;
  const auto counts = draw(options, std::vector<float>(1000, 0.0f), 6000);
  for (size_t i = 501; i < counts.size(); ++i) CHECK(counts[i] == 0);
  CHECK(std::count(counts.begin(), counts.end(), 0) < 510);
}

TEST_CASE("the repeat penalty weighs on the last tokens only, once each") {
  SamplerOptions options = plain(0);
  options.repeat_penalty = 2;
  options.repeat_last_n = 2;
  Sampler sampler(options, 3);
  const std::vector<float> logits = {3, 2, 1};
  CHECK(sampler.sample(logits) == 0);
  sampler.accept(0);
  sampler.accept(0);
  CHECK(sampler.sample(logits) == 1);  // 1.5 against 2; twice penalised it would be 0.75
  CHECK(sampler.sample(std::vector<float>{-1, -1.5f, -3}) == 1);
  CHECK(sampler.sample(std::vector<float>{3, 1.4f, 1}) == 0);
  sampler.accept(1);
  sampler.accept(2);
  CHECK(sampler.sample(logits) == 0);  // forgotten
  sampler.accept(-5);
  sampler.accept(1 << 30);  // what is no token weighs on none
  CHECK(sampler.sample(logits) == 0);
}

TEST_CASE("the same seed gives the same tokens, another seed others") {
  const std::vector<float> logits = noise(1000);
  const auto run = [&](uint64_t seed) {
    SamplerOptions options;
    options.seed = seed;
    options.temperature = 100;
    Sampler sampler(options, 1000);
    std::vector<TokenId> ids;
    for (int i = 0; i < 50; ++i) ids.push_back(sampler.sample(logits));
    return ids;
  };
  CHECK(run(42) == run(42));
  CHECK(run(42) != run(43));
  CHECK(Sampler(SamplerOptions{}, 4).seed() != 0);
}

TEST_CASE("a large vocabulary takes well under a millisecond") {
  const std::vector<float> logits = noise(151936);
  SamplerOptions options;
  options.seed = 1;
  options.repeat_penalty = 1.1f;
  Sampler sampler(options, 151936);
  uint64_t best_ns = ~0ull;
  for (int i = 0; i < 20; ++i) {
    const uint64_t begin_ns = now_ns();
    sampler.accept(sampler.sample(logits));
    best_ns = std::min(best_ns, now_ns() - begin_ns);
  }
  CHECK(best_ns < 10'000'000);  // sanitizers and busy machines included
}

TEST_CASE("options out of range are refused") {
  const auto refused = [](auto change) {
    SamplerOptions options;
    change(options);
    return !check_sampler_options(options).ok();
  };
  CHECK_FALSE(refused([](SamplerOptions&) {}));
  CHECK(refused([](SamplerOptions& o) { o.temperature = -1; }));
  CHECK(refused([](SamplerOptions& o) { o.temperature = kNan; }));
  CHECK(refused([](SamplerOptions& o) { o.temperature = kInf; }));
  CHECK(refused([](SamplerOptions& o) { o.top_p = 0; }));
  CHECK(refused([](SamplerOptions& o) { o.top_p = 1.1f; }));
  CHECK(refused([](SamplerOptions& o) { o.top_p = kNan; }));
  CHECK(refused([](SamplerOptions& o) { o.min_p = -0.1f; }));
  CHECK(refused([](SamplerOptions& o) { o.min_p = 2; }));
  CHECK(refused([](SamplerOptions& o) { o.repeat_penalty = 0; }));
  CHECK(refused([](SamplerOptions& o) { o.repeat_penalty = kNan; }));
  CHECK(refused([](SamplerOptions& o) { o.repeat_last_n = 1 << 30; }));
}
