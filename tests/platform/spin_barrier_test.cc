#include <doctest/doctest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "platform/spin_barrier.h"

using namespace hotset;

TEST_CASE("spin barrier: the last one works alone, and all see what it did") {
  for (const uint32_t threads : {1u, 2u, 5u}) {
    SpinBarrier barrier;
    barrier.reset(threads);
    constexpr uint32_t kRounds = 300;
    std::vector<uint32_t> arrived(threads, 0);
    uint32_t alone = 0, wrong = 0;
    const auto work = [&](uint32_t thread) {
      for (uint32_t round = 1; round <= kRounds; ++round) {
        // Some come so late that the others sleep.
        if (round % 100 == thread) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ++arrived[thread];
        barrier.arrive([&] {
          for (const uint32_t count : arrived) wrong += count != round;
          ++alone;
        });
        if (alone != round) std::terminate();
        barrier.arrive([] {});
      }
    };
    std::vector<std::jthread> helpers;
    for (uint32_t thread = 1; thread < threads; ++thread) helpers.emplace_back(work, thread);
    work(0);
    helpers.clear();
    CHECK(alone == kRounds);
    CHECK(wrong == 0);
  }
}
