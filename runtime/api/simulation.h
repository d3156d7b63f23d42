// Simulation: a routing trace through expert caches of several policies and sizes, and how it is shown. No model is run; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/status.h"
#include "runtime/api/report_text.h"
#include "runtime/engine/simulate.h"

namespace hotset {

// Errors speak of the flags of `hotset simulate`, as which the fields are named.
struct SimulationRequest {
  std::string trace;
  std::vector<std::string> policies;    // empty: all, and the bound that knows the future
  std::vector<std::string> capacities;  // "25%", shares of all experts that have room
  CacheScope scope = CacheScope::kGlobal;
  std::optional<uint64_t> warm_tokens;  // at the start, not counted; unset: 64, fewer of short traces
  std::string links;                    // a file; empty: no speeds
  std::string expert_size;              // with `links`
  std::string dense_size;
};

// The fastest way to serve misses on some links.
struct SimulatedSpeed {
  MissMode mode = MissMode::kWait;
  double tokens_per_s = 0;
};

struct SimulatedCell {
  SimulatedCache cache;
  SimulatedHits hits;   // every miss moves in
  SimulatedHits gated;  // only what promises to pay
  std::optional<SimulatedSpeed> speed;
};

struct SimulationReport {
  std::string path;
  std::string model;
  uint64_t tokens = 0;
  uint32_t layers = 0;
  uint32_t experts = 0;
  uint32_t top_k = 0;
  CacheScope scope = CacheScope::kGlobal;
  std::vector<SimulatedCell> cells;
};

// Errors: a trace or links file that cannot be read, no policy of a name, a capacity that is no share or holds less than a token needs.
Result<SimulationReport> run_simulation(const SimulationRequest& request);

std::string simulation_text(const SimulationReport& report);
Json simulation_json(const SimulationReport& report);

}  // namespace hotset
