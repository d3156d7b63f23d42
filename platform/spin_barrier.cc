#include "platform/spin_barrier.h"

#include <thread>

namespace hotset {
namespace {

// Loads without a pause first: most waits end within a few hundred nanoseconds, and a pause is 50 of them on some CPUs.
constexpr uint32_t kQuickSpins = 200;
constexpr uint32_t kSpins = 400;
constexpr uint32_t kYields = 100;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace

void SpinBarrier::wait_past(uint32_t round) {
  for (uint32_t i = 0; i < kQuickSpins + kSpins; ++i) {
    if (round_.load(std::memory_order_acquire) != round) return;
    if (i >= kQuickSpins) pause();
  }
  for (uint32_t i = 0; i < kYields; ++i) {
    if (round_.load(std::memory_order_acquire) != round) return;
    std::this_thread::yield();
  }
  sleepers_.fetch_add(1);
  while (round_.load() == round) round_.wait(round);
  sleepers_.fetch_sub(1);
}

}  // namespace hotset
