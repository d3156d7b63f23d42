#include "offload/serving_trial.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace hotset {
namespace {

struct Samples {
  std::vector<uint64_t> token_ns;
  uint64_t lookups = 0;
  uint64_t hits = 0;

  void add(const TrialToken& token) {
    token_ns.push_back(std::max<uint64_t>(token.ns, 1));
    lookups += token.lookups;
    hits += token.hits;
  }
  WayTime time() {
    if (token_ns.empty()) return {};
    const auto quartile = token_ns.begin() + static_cast<std::ptrdiff_t>(token_ns.size() / 4);
    std::nth_element(token_ns.begin(), quartile, token_ns.end());
    return {static_cast<double>(*quartile), lookups == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(lookups)};
  }
};

constexpr double kMuchFaster = 1.5;
constexpr uint64_t kTellingTokens = 16;

bool can_be(const TriedWay& way) { return std::isfinite(way.expected_ns); }

}  // namespace

std::string way_name(const MissPlan& plan) { return std::string(miss_mode_name(plan.mode)) + (plan.use_cache ? "" : " without cache"); }

Result<std::vector<WayTime>> run_trial(size_t ways, const TrialOptions& options, const TrialFunction& next) {
  std::vector<Samples> samples(ways);
  uint64_t spent_ns = 0;
  bool first = true;  // of all: what is made on first use is no token's time
  for (uint32_t turn = 0; turn < options.most_turns && spent_ns < options.most_ns; ++turn) {
    if (turn >= options.least_turns && spent_ns >= options.enough_ns) break;
    for (size_t i = 0; i < ways; ++i) {
      const size_t way = turn % 2 == 0 ? i : ways - 1 - i;  // who follows whom alternates
      for (uint32_t token = 0; token < options.turn_tokens; ++token) {
        HOTSET_ASSIGN(const TrialToken took, next(way));
        spent_ns += std::exchange(first, false) ? 0 : took.ns;
        if (token > 0) samples[way].add(took);
      }
      if (spent_ns >= options.most_ns && turn > 0) break;
      if (spent_ns >= 2 * options.most_ns) break;  // one turn of each is too much already
    }
  }
  std::vector<WayTime> times;
  for (Samples& of : samples) times.push_back(of.time());
  return times;
}

std::optional<size_t> choose_way(std::span<const TriedWay> ways, double tie) {
  std::optional<size_t> expected, fastest;
  bool all_known = true;
  for (size_t i = 0; i < ways.size(); ++i) {
    if (!can_be(ways[i])) continue;
    all_known = all_known && ways[i].time.token_ns > 0;
    if (!expected || ways[i].expected_ns < ways[*expected].expected_ns) expected = i;
    if (!fastest || ways[i].time.token_ns < ways[*fastest].time.token_ns) fastest = i;
  }
  if (!expected || !all_known) return expected;
  std::optional<size_t> chosen;
  for (size_t i = 0; i < ways.size(); ++i) {
    if (!can_be(ways[i]) || ways[i].time.token_ns > ways[*fastest].time.token_ns * (1 + tie)) continue;
    if (!chosen || ways[i].expected_ns < ways[*chosen].expected_ns) chosen = i;
  }
  return chosen;
}

bool is_complete(std::span<const TriedWay> ways) {
  return std::all_of(ways.begin(), ways.end(), [](const TriedWay& way) { return way.time.token_ns > 0; });
}

bool trial_was_disturbed(double expected_ns, double measured_ns, uint64_t tokens) {
  return tokens >= kTellingTokens && measured_ns > 0 && measured_ns * kMuchFaster < expected_ns;
}

bool trial_was_cut_short(const TrialOptions& options, size_t ways, double measured_ns, uint64_t tokens) {
  const double all_ns = static_cast<double>(ways * options.turn_tokens) * measured_ns;
  return tokens >= kTellingTokens && measured_ns > 0 && all_ns < static_cast<double>(options.most_ns);
}

}  // namespace hotset
