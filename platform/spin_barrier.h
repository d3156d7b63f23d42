// SpinBarrier: where threads that work in lockstep meet, many times a millisecond. The last to arrive may do something for all.
//
// A thread that waits spins a few microseconds, then gives way to others, then sleeps. Memory: what a thread did before it
// arrived, and what the last one did, is visible to all that go on.
#pragma once

#include <atomic>
#include <cstdint>

namespace hotset {

class SpinBarrier {
 public:
  // The threads that meet from now on; nobody may be waiting.
  void reset(uint32_t threads) { threads_ = threads; }

  // Returns when all threads have arrived; the last one calls last() before any goes on.
  template <class Last>
  void arrive(Last&& last) {
    const uint32_t round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 != threads_) return wait_past(round);
    arrived_.store(0, std::memory_order_relaxed);
    last();
    // Sequentially consistent against sleepers_: either this thread sees the sleeper or the sleeper sees the round.
    round_.store(round + 1);
    if (sleepers_.load() != 0) round_.notify_all();
  }

 private:
  void wait_past(uint32_t round);

  uint32_t threads_ = 1;
  // On cache lines of their own: those who spin on the round must not slow down those who arrive.
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> round_{0};
  alignas(64) std::atomic<uint32_t> sleepers_{0};
};

}  // namespace hotset
