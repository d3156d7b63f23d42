// The simulator: a routing trace replayed through the same cache and policies that a run has, in no time but its own.
//
// Replay is event-atomic: the hits of a layer's choice are judged before anything moves in, all of the choice is told to the policy, and none of
// it can be a victim for the rest. One continuous stream over all sequences. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "offload/link_model.h"
#include "offload/routing_trace.h"
#include "platform/status.h"

namespace hotset {

enum class CacheScope : uint8_t {
  kGlobal,  // one memory for all layers
  kLayer,   // a fixed part for each
};

// Next to policy_names(): the bound. It knows the trace's future.
inline constexpr std::string_view kBeladyPolicy = "belady";

struct SimulatedCache {
  std::string policy;
  double capacity = 0.25;   // share of all experts that has a slot; never less than a token's choice in every layer
  CacheScope scope = CacheScope::kGlobal;
  bool gated = false;       // an upload must promise to pay, else the miss is served without one; otherwise every miss moves in
  uint64_t warm_tokens = 0; // not counted at the start
};

// The tokens that are usually not counted, so that caches are full: 64, fewer of short traces.
uint64_t usual_warm_tokens(uint64_t tokens);

struct SimulatedHits {
  uint32_t slots = 0;
  uint64_t tokens = 0;   // counted
  uint64_t lookups = 0;
  uint64_t hits = 0;
  uint64_t uploads = 0;
  std::vector<uint64_t> turns_by_misses;  // [top_k + 1] a layer's turns in which so many missed
  double hit_rate() const { return lookups == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(lookups); }
  double uploads_per_token() const { return tokens == 0 ? 0 : static_cast<double>(uploads) / static_cast<double>(tokens); }
};

// Errors (kInvalidArgument): an unknown policy, a capacity outside (0, 1], a trace that ends before `warm_tokens`.
Result<SimulatedHits> simulate(const RoutingTrace& trace, const SimulatedCache& cache);

// What the trace does not say of the model.
struct SimulatedModel {
  uint64_t record_bytes = 0;  // of an expert
  uint64_t dense_bytes = 0;   // that a token reads besides
};

// How long a token takes on these links, misses served in `mode`, uploads of the other modes in the background. All experts are in RAM.
// Infinity when the links have no such path.
double simulated_token_ns(const SimulatedHits& hits, uint32_t top_k, const LinkRates& rates, MissMode mode, const SimulatedModel& model);

}  // namespace hotset
