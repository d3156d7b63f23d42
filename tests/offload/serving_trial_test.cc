// A trial with tokens whose times the test makes up: who runs when, what counts, what is chosen.
#include "offload/serving_trial.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace hotset;

namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr MissPlan kWait = {MissMode::kWait, false, true}, kGpu = {MissMode::kInPlace, false, true}, kCpu = {MissMode::kCpu, false, true};

TriedWay way(const MissPlan& plan, double expected_ns, double measured_ns) { return {plan, expected_ns, {measured_ns, 0.5}}; }

}  // namespace

TEST_CASE("serving trial: ways take turns, the first token of a turn does not count") {
  std::vector<size_t> order;
  TrialOptions options;
  options.turn_tokens = 3;
  options.least_turns = 2;
  options.enough_ns = 0;
  uint32_t of_turn = 0;
  const auto times = run_trial(2, options, [&](size_t way) -> Result<TrialToken> {
    order.push_back(way);
    const bool first = of_turn++ % 3 == 0;
    return TrialToken{first ? 100 * kMs : (way + 1) * kMs, 10, way == 0 ? 4u : 9u};
  });
  REQUIRE(times.ok());
  CHECK(order == std::vector<size_t>{0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0});
  CHECK((*times)[0].token_ns == 1.0 * kMs);
  CHECK((*times)[1].token_ns == 2.0 * kMs);
  CHECK((*times)[0].hit_rate == doctest::Approx(0.4));
  CHECK((*times)[1].hit_rate == doctest::Approx(0.9));
}

TEST_CASE("serving trial: a moment in which the machine does something else does not decide") {
  uint32_t count = 0;
  const auto times = run_trial(1, {}, [&](size_t) -> Result<TrialToken> { return TrialToken{++count % 5 == 0 ? 40 * kMs : 7 * kMs, 1, 1}; });
  REQUIRE(times.ok());
  CHECK((*times)[0].token_ns == 7.0 * kMs);
}

TEST_CASE("serving trial: it ends when it has enough, and soon where tokens are slow") {
  struct Row {
    uint64_t token_ns;
    uint32_t most_tokens;
    bool known;
  };
  const Row rows[] = {
      {1'000, 3 * 2 * 24, true},        // quick tokens: every turn there is
      {10 * kMs, 3 * 2 * 8, true},      // until 400 ms are spent
      {200 * kMs, 3 * 2 * 2, true},     // two turns
      {5'000 * kMs, 2, false},          // nothing that could be compared
  };
  for (const Row& row : rows) {
    CAPTURE(row.token_ns);
    uint32_t count = 0;
    const auto times = run_trial(3, {}, [&](size_t) -> Result<TrialToken> { return ++count, TrialToken{row.token_ns, 1, 0}; });
    REQUIRE(times.ok());
    CHECK(count <= row.most_tokens);
    CHECK(((*times)[0].token_ns > 0 && (*times)[1].token_ns > 0 && (*times)[2].token_ns > 0) == row.known);
  }
}

TEST_CASE("serving trial: what is made on first use costs no turn") {
  uint32_t count = 0;
  const auto times = run_trial(3, {}, [&](size_t) -> Result<TrialToken> { return TrialToken{++count == 1 ? 9'000 * kMs : 50 * kMs, 1, 0}; });
  REQUIRE(times.ok());
  for (const WayTime& time : *times) CHECK(time.token_ns == 50.0 * kMs);
}

TEST_CASE("serving trial: an error ends it") {
  CHECK(run_trial(2, {}, [](size_t) -> Result<TrialToken> { return error(Code::kDevice, "lost"); }).status().code() == Code::kDevice);
  const auto none = run_trial(0, {}, [](size_t) -> Result<TrialToken> { return TrialToken{}; });
  REQUIRE(none.ok());
  CHECK(none->empty());
}

TEST_CASE("serving trial: the choice") {
  struct Row {
    const char* what;
    std::vector<TriedWay> ways;
    int chosen;  // -1: nothing
  };
  const Row rows[] = {
      {"no ways", {}, -1},
      {"measured beats expected", {way(kWait, 10, 140), way(kGpu, 20, 130), way(kCpu, 30, 111)}, 2},
      {"within noise the expected one", {way(kWait, 10, 101.5), way(kGpu, 20, 100), way(kCpu, 30, 101)}, 0},
      {"beyond noise not", {way(kWait, 10, 103), way(kGpu, 20, 100), way(kCpu, 30, 101)}, 1},
      {"one without a time: as expected", {way(kWait, 10, 200), way(kGpu, 20, 100), way(kCpu, 30, 0)}, 0},
      {"none has a time: as expected", {way(kWait, 30, 0), way(kGpu, 20, 0)}, 1},
      {"what cannot be is not taken", {way(kWait, INFINITY, 1), way(kGpu, 20, 100)}, 1},
      {"and does not need a time", {way(kWait, INFINITY, 0), way(kGpu, 20, 100), way(kCpu, 30, 90)}, 2},
      {"nothing can be", {way(kWait, INFINITY, 0)}, -1},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto chosen = choose_way(row.ways);
    CHECK((chosen ? static_cast<int>(*chosen) : -1) == row.chosen);
  }
}

TEST_CASE("serving trial: a run that is much faster tells of a busy trial") {
  CHECK(trial_was_disturbed(100, 50, 64));
  CHECK_FALSE(trial_was_disturbed(100, 80, 64));
  CHECK_FALSE(trial_was_disturbed(100, 300, 64));
  CHECK_FALSE(trial_was_disturbed(100, 50, 4));
  CHECK_FALSE(trial_was_disturbed(100, 0, 64));
  CHECK(trial_was_cut_short({}, 3, 100.0 * kMs, 64));  // six tokens take 600 ms
  CHECK_FALSE(trial_was_cut_short({}, 3, 400.0 * kMs, 64));
  CHECK_FALSE(trial_was_cut_short({}, 3, 100.0 * kMs, 4));
  CHECK(is_complete(std::vector<TriedWay>{way(kWait, 1, 1), way(kCpu, 1, 2)}));
  CHECK_FALSE(is_complete(std::vector<TriedWay>{way(kWait, 1, 1), way(kCpu, 1, 0)}));
}

TEST_CASE("serving trial: ways have names of their own") {
  CHECK(way_name(kWait) == "wait");
  CHECK(way_name(kGpu) == "gpu");
  CHECK(way_name(kCpu) == "cpu");
  CHECK(way_name({MissMode::kCpu, false, false}) == "cpu without cache");
}
