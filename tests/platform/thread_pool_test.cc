#include "platform/thread_pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

using namespace hotset;

TEST_CASE("thread pool: every part runs once, under the number of a thread of the pool") {
  for (const uint32_t threads : {0u, 1u, 2u, 5u}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == std::max(threads, 1u));
    for (const uint32_t parts : {0u, 1u, 2u, 3u, 64u}) {
      std::vector<std::atomic<int>> calls(parts);
      std::atomic<int> strangers{0};
      pool.run(parts, [&](uint32_t part, uint32_t worker) {
        ++calls[part];
        strangers += worker >= pool.threads();
      });
      for (const auto& count : calls) CHECK(count == 1);
      CHECK(strangers == 0);
    }
  }
}

TEST_CASE("thread pool: what parts wrote is seen after the run, many runs in a row") {
  ThreadPool pool(3);
  std::vector<uint64_t> sums(7);
  for (uint64_t round = 0; round < 2000; ++round) {
    pool.run(7, [&](uint32_t part, uint32_t) { sums[part] += round; });
  }
  for (const uint64_t sum : sums) CHECK(sum == 2000 * 1999 / 2);
}

TEST_CASE("thread pool: a run goes on while workers sleep or wake late") {
  ThreadPool pool(4);
  uint64_t total = 0;
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // longer than workers look for work
    std::vector<uint64_t> parts(16);
    pool.run(16, [&](uint32_t part, uint32_t) { parts[part] = part; });
    total += std::accumulate(parts.begin(), parts.end(), uint64_t{0});
  }
  CHECK(total == 5 * 120);
}

TEST_CASE("thread pool: phases wait for each other and share out parts anew") {
  constexpr uint32_t kParts = 9, kPhases = 5;
  for (const uint32_t threads : {1u, 2u, 4u}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 200; ++round) {
      std::vector<std::vector<uint32_t>> filled(kPhases, std::vector<uint32_t>(kParts));
      std::atomic<uint32_t> attended{0}, wrong{0};
      pool.run_phases([&](uint32_t) {
        ++attended;
        for (uint32_t phase = 0; phase < kPhases; ++phase) {
          for (uint32_t part = pool.claim(); part < kParts; part = pool.claim()) {
            // Reads what another thread wrote in the phase before.
            const uint32_t before = phase == 0 ? 0 : filled[phase - 1][(part + 1) % kParts];
            wrong += before != phase;
            filled[phase][part] = before + 1;
          }
          pool.barrier();
        }
      });
      REQUIRE(attended == pool.threads());
      REQUIRE(wrong == 0);
      REQUIRE(filled[kPhases - 1] == std::vector<uint32_t>(kParts, kPhases));
    }
  }
}

TEST_CASE("thread pool: runs and phases may alternate") {
  ThreadPool pool(3);
  std::atomic<uint32_t> parts{0}, attended{0};
  for (int round = 0; round < 500; ++round) {
    pool.run(2, [&](uint32_t, uint32_t) { ++parts; });
    pool.run_phases([&](uint32_t) { ++attended; });
  }
  CHECK(parts == 1000);
  CHECK(attended == 1500);
}
