// The picture of a routing trace: which experts are used, how often the cache holds them, what the links carry.
//
// It draws what it is given and reads nothing. Pure but for the file that it writes; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/status.h"

namespace hotset {

// What a link carried in one stretch of time.
struct LinkSeries {
  std::string name;                  // "disk to RAM"
  std::vector<double> bytes;         // [buckets], each as long as the others
};

struct TracePicture {
  std::string title;                  // the model
  std::string subtitle;               // where the trace is from
  uint32_t layers = 0;
  uint32_t experts = 0;
  uint32_t top_k = 0;
  uint64_t tokens = 0;
  std::vector<uint64_t> uses;         // [layers][experts]
  std::string cache_title;            // "lru, 25 % of the experts"
  std::string cache_note = "from an empty cache";
  std::vector<float> hit_rate;        // [points] share of hits
  double tokens_per_point = 1;
  double bucket_ms = 0;               // of the series below
  std::vector<LinkSeries> links;      // none: the panel is left out
};

// Error (kInvalidArgument): no tokens, or sizes that do not fit each other.
Status draw_trace(const TracePicture& picture, const std::string& path);

}  // namespace hotset
