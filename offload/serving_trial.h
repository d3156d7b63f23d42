// ServingTrial: which way of serving misses is the fastest, by trying: tokens of each way in turn, and the choice from their times.
//
// Pure but for the tokens, which the caller runs and times, so that tests order every outcome. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "offload/link_model.h"
#include "platform/status.h"

namespace hotset {

// One token of a trial.
struct TrialToken {
  uint64_t ns = 0;
  uint64_t lookups = 0;  // of experts
  uint64_t hits = 0;     // in VRAM
};
// Runs a token with way `way`. An error ends the trial.
using TrialFunction = std::function<Result<TrialToken>(size_t way)>;

struct TrialOptions {
  uint32_t turn_tokens = 2;         // that a way runs at a time; the first does not count, for it finds the caches of the way before
  uint32_t least_turns = 2;         // of each way, in turn,
  uint64_t enough_ns = 400'000'000;  // then more while all of it took less than this
  uint32_t most_turns = 24;
  uint64_t most_ns = 1'500'000'000;  // where tokens are so slow that this is passed, as many turns as there were
};

// What one way took. token_ns 0: nothing is known, for it had no turn that counts.
struct WayTime {
  double token_ns = 0;  // the lower quartile: what else the machine does only slows
  double hit_rate = 0;
};

// [ways]. Error: that of `next`.
Result<std::vector<WayTime>> run_trial(size_t ways, const TrialOptions& options, const TrialFunction& next);

// "wait", "gpu", "cpu", "cpu without cache".
std::string way_name(const MissPlan& plan);

// A way, what the link model expects of it, and what it took.
struct TriedWay {
  MissPlan plan;
  double expected_ns = 0;  // infinity: it cannot be
  WayTime time;
};

// The index of the fastest by measurement; of those within `tie` of it the one that is expected to be the fastest, for noise is no
// reason. Where some way that can be has no time, the one that is expected to be the fastest. Nothing where no way can be.
std::optional<size_t> choose_way(std::span<const TriedWay> ways, double tie = 0.02);

// Whether a run of `tokens`, each of which took `measured_ns` where the trial made it expect `expected_ns`, says that the machine was
// busy during the trial: the run was much faster. That a run is slower says nothing, for now the machine may be busy.
bool trial_was_disturbed(double expected_ns, double measured_ns, uint64_t tokens);
// The same of a trial that ended before every way had a time, though tokens as fast as these leave room for all.
bool trial_was_cut_short(const TrialOptions& options, size_t ways, double measured_ns, uint64_t tokens);
// Every way has a time.
bool is_complete(std::span<const TriedWay> ways);

}  // namespace hotset
