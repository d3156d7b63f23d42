// PhaseShares: work of many short phases, each cut into pieces that several threads share out. A phase begins when all pieces of
// the one before are done.
//
// Each thread has a share of its own, the same in every phase, so that the memory it reads stays in its cache; who is done with
// his takes from the others. Threads may come late, or never: only pieces that somebody has begun are waited for. Memory: what
// was done in a phase, and before start(), is visible to those who claim pieces of the next.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace hotset {

class PhaseShares {
 public:
  struct Piece {
    uint32_t phase = 0;
    uint32_t index = 0;
  };
  static constexpr uint32_t kMaxPieces = (1u << 20) - 1;
  static constexpr uint32_t kMaxPhase = (1u << 24) - 1;

  explicit PhaseShares(uint32_t threads) : shares_(threads) {}

  // Before the threads work: phases count up from here.
  void reset() { phase_.store(0, std::memory_order_relaxed); }

  // Begins a phase with a number above that of the one before; nothing of that is left to do. No pieces: the last phase, in which
  // there is nothing to claim.
  void start(uint32_t phase, uint32_t pieces);

  // Takes a piece of the phase at hand for `thread`. False: none is left.
  bool claim(uint32_t thread, Piece& piece);

  // Says that `count` pieces that the caller claimed are done. True: they were the last, and the caller must start() the next phase.
  bool finish(uint32_t count) { return left_.fetch_sub(count, std::memory_order_acq_rel) == count; }

  // Waits until a phase after `phase` has begun; its number. Spins some microseconds, then gives way to others, then sleeps.
  uint32_t wait_past(uint32_t phase);

 private:
  // Of one thread: the phase in 24 bits, the next piece and the end of the share in 20 each.
  struct alignas(64) Share {
    std::atomic<uint64_t> state{0};
  };
  bool claim_from(Share& share, Piece& piece);

  std::vector<Share> shares_;  // [threads]
  alignas(64) std::atomic<uint32_t> left_{0};  // pieces of the phase at hand that are not done
  alignas(64) std::atomic<uint32_t> phase_{0};
  alignas(64) std::atomic<uint32_t> sleepers_{0};
};

}  // namespace hotset
