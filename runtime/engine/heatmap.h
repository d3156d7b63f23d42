// Heatmap: a routing trace replayed through an expert cache, as a picture.
//
// A trace is a text file of the form MOETRACE 1: lines that start with '#' are a header (of which "model:", "moe_layers:", "experts:" and
// "top_k:" are used); every other line is a token: sequence, position, phase ('p' prompt, 'd' decode) and the experts chosen, with
// commas within a layer and '|' between layers, all four divided by tabs.
#pragma once

#include <cstdint>
#include <string>

#include "platform/status.h"

namespace hotset {

struct HeatmapOptions {
  std::string trace_path;
  std::string picture_path;     // a PNG
  std::string policy;           // of the cache that the hit rate is shown for; empty: the default one
  double capacity = 0.25;       // its share of all experts
};

struct HeatmapReport {
  std::string model;
  std::string policy;
  uint32_t layers = 0;
  uint32_t experts = 0;
  uint32_t top_k = 0;
  uint64_t tokens = 0;
  uint32_t slots = 0;
  double hit_rate = 0;
};

// Writes the picture. Errors: no such file, a line that is no token (named by its number), sizes that contradict each other or the header
// (kCorrupt), a capacity that holds less than a token needs or no policy of that name (kInvalidArgument), a path that cannot be written.
Result<HeatmapReport> draw_heatmap(const HeatmapOptions& options);

}  // namespace hotset
