// RunStats: the history in the JSON that `hotset run --json` writes, read and checked. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/status.h"
#include "runtime/engine/run_history.h"

namespace hotset {

struct RunStats {
  std::string model;
  uint32_t layers = 0;
  uint32_t experts = 0;
  uint32_t top_k = 0;
  std::vector<uint64_t> uses;  // [layers][experts]
  std::vector<RunStretch> stretches;
};

// Whether a text is meant as JSON rather than as a trace.
bool looks_like_json(std::string_view text);

// Errors (kCorrupt): not JSON, no "history" in it or one without tokens, numbers that are none or do not fit each other.
Result<RunStats> parse_run_stats(const std::string& text);

}  // namespace hotset
