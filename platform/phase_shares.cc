#include "platform/phase_shares.h"

#include <thread>

#include "platform/check.h"
#include "platform/word_wait.h"

namespace hotset {
namespace {

// Looks without a pause first: most waits end within some hundred nanoseconds, and a pause takes 50 of them on some CPUs.
constexpr uint32_t kQuickLooks = 200;
constexpr uint32_t kLooks = 400;
constexpr uint32_t kYields = 100;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace

void PhaseShares::start(uint32_t phase, uint32_t pieces) {
  HOTSET_CHECK(phase <= kMaxPhase && pieces <= kMaxPieces);
  left_.store(pieces, std::memory_order_relaxed);
  const uint64_t threads = shares_.size();
  for (uint64_t thread = 0; thread < threads; ++thread) {
    const uint64_t first = pieces * thread / threads, end = pieces * (thread + 1) / threads;
    shares_[thread].state.store(uint64_t{phase} << 40 | first << 20 | end, std::memory_order_release);
  }
  // Sequentially consistent against sleepers_: either this thread sees the sleeper or the sleeper sees the phase.
  phase_.store(phase);
  if (sleepers_.load() != 0) wake_all(phase_);
}

bool PhaseShares::claim_from(Share& share, Piece& piece) {
  uint64_t state = share.state.load(std::memory_order_acquire);
  for (;;) {
    const auto next = static_cast<uint32_t>(state >> 20 & kMaxPieces), end = static_cast<uint32_t>(state & kMaxPieces);
    if (next >= end) return false;
    if (!share.state.compare_exchange_weak(state, state + (1u << 20), std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    piece = {static_cast<uint32_t>(state >> 40), next};
    return true;
  }
}

bool PhaseShares::claim(uint32_t thread, Piece& piece) {
  if (claim_from(shares_[thread], piece)) return true;
  for (size_t i = 1; i < shares_.size(); ++i) {
    if (claim_from(shares_[(thread + i) % shares_.size()], piece)) return true;
  }
  return false;
}

uint32_t PhaseShares::wait_past(uint32_t phase) {
  for (uint32_t i = 0; i < kQuickLooks + kLooks; ++i) {
    const uint32_t now = phase_.load(std::memory_order_acquire);
    if (now > phase) return now;
    if (i >= kQuickLooks) relax();
  }
  for (uint32_t i = 0; i < kYields; ++i) {
    const uint32_t now = phase_.load(std::memory_order_acquire);
    if (now > phase) return now;
    std::this_thread::yield();
  }
  sleepers_.fetch_add(1);
  uint32_t now = phase_.load();
  for (; now <= phase; now = phase_.load()) sleep_while(phase_, now);
  sleepers_.fetch_sub(1);
  return now;
}

}  // namespace hotset
