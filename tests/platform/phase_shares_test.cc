#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "platform/phase_shares.h"

using namespace hotset;

TEST_CASE("phase shares: every piece once, phases in order, late threads join where the others are") {
  for (const uint32_t threads : {1u, 2u, 5u}) {
    constexpr uint32_t kPhases = 300;
    PhaseShares shares(threads);
    // Plain memory: the order of phases is what protects it.
    std::vector<std::vector<uint32_t>> done(kPhases + 1);
    uint32_t wrong = 0;
    const auto pieces_of = [](uint32_t phase) { return phase == kPhases ? 0 : phase % 9 + 1; };
    const auto start = [&](uint32_t phase) {
      if (phase > 1) {
        for (const uint32_t count : done[phase - 1]) wrong += count != 1;
      }
      done[phase].assign(pieces_of(phase), 0);
      shares.start(phase, pieces_of(phase));
    };
    const auto work = [&](uint32_t thread) {
      for (uint32_t phase = 0; phase < kPhases;) {
        uint32_t count = 0;
        for (PhaseShares::Piece piece; shares.claim(thread, piece); ++count) {
          phase = piece.phase;
          ++done[phase][piece.index];
          if (phase % 60 == thread) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        if (count != 0 && shares.finish(count)) start(++phase);
        else phase = shares.wait_past(phase);
      }
    };
    shares.reset();
    start(1);
    std::vector<std::jthread> helpers;
    for (uint32_t thread = 1; thread < threads; ++thread) {
      helpers.emplace_back([&, thread] {
        std::this_thread::sleep_for(std::chrono::milliseconds(thread));
        work(thread);
      });
    }
    work(0);
    helpers.clear();
    CHECK(wrong == 0);
    CHECK(done[kPhases - 1] == std::vector<uint32_t>(pieces_of(kPhases - 1), 1));
  }
}

TEST_CASE("phase shares: one thread does everything where no other comes") {
  PhaseShares shares(4);
  shares.reset();
  shares.start(1, 10);
  PhaseShares::Piece piece;
  std::vector<uint32_t> order;
  while (shares.claim(2, piece)) order.push_back(piece.index);
  CHECK(order == std::vector<uint32_t>{5, 6, 7, 8, 9, 0, 1, 2, 3, 4});  // its own share, then those after it
  CHECK_FALSE(shares.finish(9));
  CHECK(shares.finish(1));
  shares.start(7, 0);
  CHECK_FALSE(shares.claim(0, piece));
  CHECK(shares.wait_past(1) == 7);
}
