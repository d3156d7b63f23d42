// What is tried is used where tokens are faster with it, and only there, whatever noise there is. Time is what the test says it is.
#include "offload/speed_trial.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

using namespace hotset;

namespace {

// Tokens of a machine: `with` ns each when it is used, else `without`; noise as a share of that, and now and then another program.
struct Machine {
  double without = 1e6, with = 1e6, noise = 0, hiccups = 0;
  std::mt19937 random{1};
  uint64_t token(bool on) {
    std::normal_distribution<> normal;
    double ns = (on ? with : without) * std::max(0.1, 1 + noise * normal(random));
    if (std::uniform_real_distribution<>(0, 1)(random) < hiccups) ns += 2e7;
    return static_cast<uint64_t>(ns);
  }
};

// Runs `tokens` and says in how many it was on.
uint32_t run(SpeedTrial& trial, Machine& machine, uint32_t tokens) {
  uint32_t on = 0;
  for (uint32_t i = 0; i < tokens; ++i) {
    on += trial.on() ? 1 : 0;
    trial.end_token(machine.token(trial.on()));
  }
  return on;
}

}  // namespace

TEST_CASE("speed trial: windows alternate until there is a verdict, the first token of each does not count") {
  SpeedTrial trial;
  const uint32_t window = SpeedTrial::kWindowTokens;
  for (uint32_t i = 0; i < 4 * window; ++i) {
    CHECK(trial.trying());
    CHECK(trial.on() == (i / window == 1 || i / window == 2));
    trial.end_token(i % window == 0 ? 1'000'000'000 : trial.on() ? 900 : 1000);
  }
  while (trial.trying()) trial.end_token(trial.on() ? 900 : 1000);
  CHECK(trial.on());
  CHECK(trial.in_use());
}

TEST_CASE("speed trial: what loses, or wins nothing, is soon left alone") {
  for (const double with : {1.08e6, 1.0e6}) {
    CAPTURE(with);
    uint32_t on = 0;
    for (uint32_t seed = 0; seed < 10; ++seed) {
      SpeedTrial trial;
      Machine machine{.with = with, .noise = 0.2, .hiccups = 0.02};
      machine.random.seed(seed);
      on += run(trial, machine, 10000);
    }
    CHECK(on < (with > 1e6 ? 100000 / 40 : 100000 / 8));
  }
}

TEST_CASE("speed trial: a gain is found through noise, and kept") {
  SpeedTrial trial;
  Machine machine{.with = 0.85e6, .noise = 0.2, .hiccups = 0.02};
  run(trial, machine, 300);
  CHECK(run(trial, machine, 20000) > 20000 * 9 / 10);
  CHECK(trial.in_use());
}

TEST_CASE("speed trial: a machine that changes is found out again") {
  SpeedTrial trial;
  Machine machine{.with = 1.1e6, .noise = 0.1};
  run(trial, machine, 1000);
  CHECK_FALSE(trial.on());
  machine.with = 0.8e6;
  run(trial, machine, 2 * SpeedTrial::kLongestRestTokens);
  CHECK(trial.in_use());
  machine.with = 1.2e6;
  run(trial, machine, 2 * SpeedTrial::kLongestRestTokens);
  CHECK_FALSE((trial.on() && !trial.trying()));
}

TEST_CASE("speed trial: even values give a sure difference, and one wild value none") {
  std::vector<double> a(16, 10.0), b(16, 9.0);
  CHECK(compare_trimmed(a, b).difference == doctest::Approx(1));
  CHECK(compare_trimmed(a, b).error == 0);
  CHECK(compare_trimmed(a, b).mean_a == doctest::Approx(10));
  b.back() = 1e9;
  CHECK(compare_trimmed(a, b).difference == doctest::Approx(1));
  // By hand: 1..16 without two at each end has the mean 8.5; ends pulled in, the squares sum up to 2 (2 * 5.5^2 + 5.5^2 + 4.5^2 + ... + 0.5^2).
  std::vector<double> rising(16);
  for (size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<double>(i + 1);
  const double squares = 2 * (3 * 5.5 * 5.5 + 4.5 * 4.5 + 3.5 * 3.5 + 2.5 * 2.5 + 1.5 * 1.5 + 0.5 * 0.5);
  CHECK(compare_trimmed(rising, std::vector<double>(16, 0.0)).difference == doctest::Approx(8.5));
  CHECK(compare_trimmed(rising, std::vector<double>(16, 0.0)).error == doctest::Approx(std::sqrt(squares / (12 * 11))));
}
