// Monotonic time for figures. Any thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace hotset {

// Nanoseconds on a steady clock with an arbitrary start.
inline uint64_t now_ns() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

inline double seconds_between(uint64_t start_ns, uint64_t end_ns) { return static_cast<double>(end_ns - start_ns) * 1e-9; }

}  // namespace hotset
