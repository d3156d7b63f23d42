// Heatmap: a routing trace replayed through an expert cache, or what a run has measured, as a picture.
//
// A trace is a text file of the form MOETRACE 1 (offload/routing_trace.h), whose transfers, where it has them, are drawn too; a run's
// figures are the JSON of `hotset run --json` (run_stats.h), drawn with the hits and transfers that the run had.
#pragma once

#include <cstdint>
#include <string>

#include "platform/status.h"

namespace hotset {

struct HeatmapOptions {
  std::string trace_path;       // or a run's figures
  std::string picture_path;     // a PNG
  std::string policy;           // of the cache that the hit rate is shown for; empty: the default one
  double capacity = 0.25;       // its share of all experts; both are for traces only
};

struct HeatmapReport {
  std::string model;
  std::string policy;  // "as run" for a run's figures, and no slots
  uint32_t layers = 0;
  uint32_t experts = 0;
  uint32_t top_k = 0;
  uint64_t tokens = 0;
  uint32_t slots = 0;
  double hit_rate = 0;
  uint64_t transfers = 0;  // that a trace holds
};

// Writes the picture. Errors: no such file, a line that is no token (named by its number), sizes that contradict each other or the header
// (kCorrupt), figures without a history (kCorrupt), a capacity that holds less than a token needs or no policy of that name
// (kInvalidArgument), a path that cannot be written.
Result<HeatmapReport> draw_heatmap(const HeatmapOptions& options);

}  // namespace hotset
