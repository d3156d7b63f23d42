// ProgressBar: one line on a terminal that shows how far a load is, and leaves nothing behind.
//
// It appears only when the work takes longer than a glance, so that small models load without a flicker. One thread.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/app/console.h"

namespace hotset {

class ProgressBar {
 public:
  // Draws nothing unless `visible`.
  ProgressBar(const Console& console, std::string label, bool visible);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(uint64_t done_bytes, uint64_t total_bytes);

 private:
  const Console& console_;
  const std::string label_;
  const bool visible_;
  const uint64_t start_ns_;
  uint64_t drawn_ns_ = 0;  // 0: not drawn yet
};

// The line itself, without control characters: "loading [#####     ]  50 %, 1 GiB of 2 GiB".
std::string progress_line(const std::string& label, uint64_t done_bytes, uint64_t total_bytes);

}  // namespace hotset
