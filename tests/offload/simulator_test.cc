// Replays: by hand, against the bound, and against the best that is known of each trace.
#include "offload/simulator.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "offload/policy.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

// One layer of four experts, one used by a token, as digits.
RoutingTrace trace_of(const std::string& digits) {
  std::string text = "# MOETRACE 1\n# model: none   moe_layers: 1   experts: 4   top_k: 1\n";
  for (size_t i = 0; i < digits.size(); ++i) text += "0\t" + std::to_string(i) + "\td\t" + digits[i] + "\n";
  auto trace = RoutingTrace::parse(text);
  REQUIRE_MESSAGE(trace.ok(), trace.status().message());
  return std::move(trace).value();
}

SimulatedHits run(const RoutingTrace& trace, std::string policy, double capacity, CacheScope scope = CacheScope::kGlobal, uint64_t warm_tokens = 0,
                  bool gated = false) {
  const auto hits = simulate(trace, {std::move(policy), capacity, scope, gated, warm_tokens});
  REQUIRE_MESSAGE(hits.ok(), hits.status().message());
  return *hits;
}

double rate(const RoutingTrace& trace, std::string policy, double capacity, CacheScope scope) {
  return 100 * run(trace, std::move(policy), capacity, scope, usual_warm_tokens(trace.tokens())).hit_rate();
}

}  // namespace

TEST_CASE("simulator: a loop of three in two slots, by hand") {
  const RoutingTrace trace = trace_of("0120120");
  CHECK(run(trace, "lru", 0.5).hits == 0);
  // Forced: 2 takes the place of 1, which is needed last; 0 hits; 1 takes the place of 0; 2 hits.
  const SimulatedHits forced = run(trace, "belady", 0.5);
  CHECK(forced.slots == 2);
  CHECK(forced.lookups == 7);
  CHECK(forced.hits == 2);
  CHECK(forced.uploads == 5);
  // Free to refuse: 0 and 1 stay.
  const SimulatedHits free = run(trace, "belady", 0.5, CacheScope::kGlobal, 0, true);
  CHECK(free.hits == 3);
  CHECK(free.uploads == 2);
  CHECK(free.turns_by_misses == std::vector<uint64_t>{3, 4});
  CHECK(run(trace, "lru", 0.75).hits == 4);
}

TEST_CASE("simulator: tokens at the start are not counted") {
  const SimulatedHits hits = run(trace_of("0101"), "lru", 0.5, CacheScope::kGlobal, 2);
  CHECK(hits.tokens == 2);
  CHECK(hits.lookups == 2);
  CHECK(hits.hits == 2);
  CHECK(hits.uploads == 0);
}

TEST_CASE("simulator: what a token chooses is judged before any of it moves in, and stays for the token") {
  // Two of four a token, in two slots: the two of a token never push each other out.
  const auto trace = RoutingTrace::parse("# MOETRACE 1\n# experts: 4\n0\t0\td\t0,1\n0\t1\td\t1,2\n0\t2\td\t2,1\n");
  REQUIRE(trace.ok());
  for (const std::string_view policy : policy_names()) {
    CAPTURE(policy);
    CHECK(run(*trace, std::string(policy), 0.5).hits == 3);
  }
}

TEST_CASE("simulator: a layer keeps a token's choice, and with parts of its own no layer takes from another") {
  // Layer 0 is even, layer 1 always the same: with one memory layer 0 gets more room.
  std::string text = "# MOETRACE 1\n# moe_layers: 2   experts: 4\n";
  for (uint32_t i = 0; i < 40; ++i) text += "0\t" + std::to_string(i) + "\td\t" + std::to_string(i % 3) + "|0\n";
  const auto trace = RoutingTrace::parse(text);
  REQUIRE(trace.ok());
  CHECK(run(*trace, "lru", 0.5, CacheScope::kGlobal, 8).hit_rate() == 1);
  CHECK(run(*trace, "lru", 0.5, CacheScope::kLayer, 8).hit_rate() == 0.5);
  CHECK(run(*trace, "lru", 0.01, CacheScope::kGlobal, 8).slots == 2);
  CHECK(run(*trace, "lru", 0.01, CacheScope::kGlobal, 8).hit_rate() == 0.5);
  CHECK(run(*trace, "lru", 0.01, CacheScope::kLayer, 8).slots == 2);
}

TEST_CASE("simulator: what it cannot do it says") {
  const RoutingTrace trace = trace_of("0123");
  CHECK(simulate(trace, {"coin", 0.5}).status().code() == Code::kInvalidArgument);
  for (const double capacity : {0.0, -1.0, 1.01}) CHECK(simulate(trace, {"lru", capacity}).status().code() == Code::kInvalidArgument);
  CHECK(simulate(trace, {"lru", 0.5, CacheScope::kGlobal, false, 4}).status().message().find("the trace has 4") != std::string::npos);
  CHECK(simulate(trace, {"lru", 1}).ok());
}

TEST_CASE("simulator: the time of a token is that of its layers") {
  LinkRates rates;
  rates.device_bytes_per_s = 1e12;
  rates.copy_bytes_per_s = 1e10;
  const SimulatedModel model = {1000000, 2000000000};
  // All hits: two records from VRAM a turn, one turn a token, and the dense weights.
  SimulatedHits hits;
  hits.tokens = 10;
  hits.turns_by_misses = {10, 0, 0};
  const double idle_ns = simulated_token_ns(hits, 2, rates, MissMode::kWait, model);
  CHECK(idle_ns == doctest::Approx(2e6 + 2e3));
  // Every other turn misses one: 100 us on the bus.
  hits.turns_by_misses = {5, 5, 0};
  CHECK(simulated_token_ns(hits, 2, rates, MissMode::kWait, model) > idle_ns + 49e3);
  CHECK(simulated_token_ns(hits, 2, rates, MissMode::kWait, model) < idle_ns + 52e3);
  // No such path; and uploads that cannot run beside the compute count in full.
  CHECK(std::isinf(simulated_token_ns(hits, 2, rates, MissMode::kCpu, model)));
  rates.cpu_bytes_per_s = 1e11;
  const double cpu_ns = simulated_token_ns(hits, 2, rates, MissMode::kCpu, model);
  hits.uploads = 10;
  CHECK(simulated_token_ns(hits, 2, rates, MissMode::kCpu, model) == cpu_ns);
  rates.copies_overlap = false;
  CHECK(simulated_token_ns(hits, 2, rates, MissMode::kCpu, model) == doctest::Approx(cpu_ns + 1e5));
}

TEST_CASE("simulator: on the shipped traces the default policy beats the others, and none beats the bound") {
  for (const char* name : {"traces/heldout.trace.txt", "traces/generated.trace.txt"}) {
    CAPTURE(name);
    const auto trace = RoutingTrace::load(test::model_path(name));
    REQUIRE(trace.ok());
    for (const CacheScope scope : {CacheScope::kGlobal, CacheScope::kLayer}) {
      CAPTURE(static_cast<int>(scope));
      for (const double capacity : {0.25, 0.5, 0.75}) {
        CAPTURE(capacity);
        const double best = rate(*trace, std::string(policy_names()[0]), capacity, scope);
        for (const char* other : {"lru", "lrfu", "s3fifo"}) {
          CAPTURE(other);
          CHECK(best > rate(*trace, other, capacity, scope));
        }
        CHECK(best < rate(*trace, "belady", capacity, scope));
      }
    }
  }
}

// For each trace the best figure that any online policy of a survey reached (LRU, LFU, decayed LFU at half-lives of 2 to 512 tokens,
// LRU-2, SIEVE, S3-FIFO, ARC and others, in the same replay), in percent with one decimal.
TEST_CASE("simulator: the default policy keeps at least what the best known online policy keeps") {
  struct Row {
    const char* trace;
    CacheScope scope;
    double capacity;
    double best_known;
    double slack = 0.05;  // the table's rounding
  };
  constexpr CacheScope kGlobal = CacheScope::kGlobal, kLayer = CacheScope::kLayer;
  // A larger slack: nearly all misses there are first uses, which no policy avoids, and all policies lie within half a point.
  constexpr double kCeiling = 0.25;
  const Row rows[] = {
      {"gpt-oss-20b", kGlobal, 0.25, 68.7}, {"olmoe-1b-7b", kGlobal, 0.25, 58.5},
      {"olmoe-1b-7b", kGlobal, 0.5, 82.4}, {"olmoe-1b-7b", kGlobal, 0.75, 95.9},
      {"olmoe-1b-7b", kLayer, 0.25, 62.7}, {"olmoe-1b-7b", kLayer, 0.5, 83.3},
      {"olmoe-1b-7b", kLayer, 0.75, 95.5}, {"kimi-linear-48b", kGlobal, 0.1, 55.3},
      {"kimi-linear-48b", kGlobal, 0.25, 75.0}, {"kimi-linear-48b", kGlobal, 0.5, 90.2},
      {"kimi-linear-48b", kLayer, 0.1, 56.9}, {"kimi-linear-48b", kLayer, 0.25, 75.1},
      {"kimi-linear-48b", kLayer, 0.5, 90.1, kCeiling}, {"qwen3-30b-a3b-top6", kGlobal, 0.1, 55.9},
      {"qwen3-30b-a3b-top6", kGlobal, 0.25, 85.9}, {"qwen3-30b-a3b-top6", kLayer, 0.1, 60.4},
      {"qwen3-30b-a3b-top6", kLayer, 0.25, 85.3}, {"qwen3-30b-a3b-top6", kLayer, 0.5, 96.3, kCeiling},
      {"gemma4-26b-a4b-top6", kGlobal, 0.1, 56.2}, {"gemma4-26b-a4b-top6", kGlobal, 0.25, 81.8},
      {"gemma4-26b-a4b-top6", kGlobal, 0.5, 96.2, kCeiling}, {"gemma4-26b-a4b-top6", kLayer, 0.1, 59.9},
      {"gemma4-26b-a4b-top6", kLayer, 0.25, 81.9}, {"gemma4-26b-a4b-top6", kLayer, 0.5, 95.5, kCeiling},
      {"gpt-oss-120b-top2", kGlobal, 0.1, 66.2}, {"gpt-oss-120b-top2", kGlobal, 0.25, 81.1, kCeiling},
      {"gpt-oss-120b-top2", kLayer, 0.1, 65.8}, {"gpt-oss-120b-top2", kLayer, 0.25, 80.5, kCeiling},
  };
  if (!std::filesystem::exists(test::shared_path("traces"))) HOTSET_SKIP("no ../shared/traces");
  for (const Row& row : rows) {
    CAPTURE(row.trace);
    CAPTURE(static_cast<int>(row.scope));
    CAPTURE(row.capacity);
    const auto trace = RoutingTrace::load(test::shared_path("traces/" + std::string(row.trace) + ".trace.txt"));
    REQUIRE_MESSAGE(trace.ok(), trace.status().message());
    CHECK(rate(*trace, std::string(policy_names()[0]), row.capacity, row.scope) >= row.best_known - row.slack);
  }
}
