// Random demands against a plain model: an expert's bytes are in its slot when they are said to be, a pinned expert
// stays, a layer keeps its floor, and counts add up, whatever the order of copies and GPU work.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/offload/rig.h"

using namespace hotset;
using test::Rig;

namespace {

constexpr uint32_t kLayers = 4;
constexpr uint32_t kExperts = 12;
constexpr uint32_t kTopK = 3;

struct Use {
  uint32_t layer = 0;
  std::vector<uint16_t> ids;
  uint64_t gpu_value = 0;  // 0: still held
};

class Walk {
 public:
  Walk(std::vector<uint32_t> slots, uint32_t seed) : rig_(test::make_table(kExperts, {100, 100, 900, 100}), std::move(slots), kTopK), random_(seed) {
    rig_.link->delayed = seed % 2 == 1;
  }

  void step() {
    const uint32_t action = pick(10);
    if (action < 6) acquire();
    else if (action < 8) retire();
    else if (action == 8) advance();
    else if (pick(4) == 0) touch();
    else rig_.link->complete(std::min(rig_.link->submitted(), rig_.link->completed() + pick(3)));
    verify();
  }

  ResidencyStats stats() const { return rig_.residency->stats(); }
  uint64_t refused() const { return refused_; }

 private:
  uint32_t pick(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

  std::vector<uint16_t> random_ids(uint32_t most) {
    std::vector<uint16_t> ids;
    for (uint32_t i = pick(most) + 1; i > 0; --i) ids.push_back(static_cast<uint16_t>(std::min(pick(kExperts), pick(kExperts))));
    return ids;
  }

  void acquire() {
    const bool scan = pick(4) == 0;
    Use use;
    use.layer = pick(kLayers);
    use.ids = random_ids(scan ? rig_.residency->max_scan_wave(use.layer) : kTopK);
    if (pick(20) == 0) rig_.link->fail_copy_in = 1 + static_cast<int>(pick(3));
    if (pick(20) == 0) rig_.link->fail_submit_in = 1;
    std::vector<uint32_t> before;
    for (uint32_t layer = 0; layer < kLayers; ++layer) before.push_back(rig_.residents(layer));
    const auto acquired = rig_.residency->acquire(use.layer, use.ids, scan ? Access::kScan : Access::kDecode);
    rig_.link->fail_copy_in = rig_.link->fail_submit_in = 0;
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      if (layer != use.layer) REQUIRE(rig_.residents(layer) >= std::min(before[layer], kTopK));
    }
    if (!acquired.ok()) {
      ++refused_;
      // Refused for want of room only while something is pinned.
      if (acquired.status().code() == Code::kOverBudget) REQUIRE(!uses_.empty());
      return;
    }
    const std::set<uint16_t> distinct(use.ids.begin(), use.ids.end());
    REQUIRE(acquired->hits + acquired->misses == distinct.size());
    if (rig_.residency->copies_to_wait_for() <= rig_.link->completed() || pick(2) == 0) {
      rig_.link->complete(rig_.residency->copies_to_wait_for());
      for (const uint16_t id : use.ids) REQUIRE(rig_.holds_its_bytes(use.layer, id));
    }
    uses_.push_back(use);
  }

  void retire() {
    for (Use& use : uses_) {
      if (use.gpu_value != 0) continue;
      use.gpu_value = ++gpu_value_;
      rig_.residency->retire(use.layer, use.ids, use.gpu_value);
      return;
    }
  }

  // The GPU runs what was retired; its reads see the right bytes.
  void advance() {
    const uint64_t to = completed_ + pick(static_cast<uint32_t>(gpu_value_ - completed_) + 1);
    rig_.link->complete(rig_.link->submitted());
    for (const Use& use : uses_) {
      if (use.gpu_value == 0 || use.gpu_value > to) continue;
      for (const uint16_t id : use.ids) REQUIRE(rig_.holds_its_bytes(use.layer, id));
    }
    std::erase_if(uses_, [&](const Use& use) { return use.gpu_value != 0 && use.gpu_value <= to; });
    completed_ = to;
    rig_.residency->advance(to);
  }

  void touch() { rig_.residency->touch(pick(kLayers), random_ids(kTopK)); }

  void verify() {
    const Status status = rig_.residency->check();
    REQUIRE_MESSAGE(status.ok(), status.message());
    for (const Use& use : uses_) {
      for (const uint16_t id : use.ids) REQUIRE(rig_.residency->resident(use.layer, id));
    }
    const ResidencyStats stats = rig_.residency->stats();
    REQUIRE(stats.lookups == stats.hits + stats.misses);
  }

  Rig rig_;
  std::mt19937 random_;
  std::vector<Use> uses_;  // acquired, and not yet passed by the GPU
  uint64_t gpu_value_ = 0;
  uint64_t completed_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace

TEST_CASE("residency: random demands at several capacities") {
  // Three layers of one size class, one of another.
  const std::vector<std::vector<uint32_t>> capacities = {{9, 3}, {10, 3}, {14, 5}, {18, 6}, {30, 9}, {36, 12}};
  uint64_t misses = 0;
  uint64_t refused = 0;
  for (const auto& slots : capacities) {
    for (uint32_t seed = 0; seed < 4; ++seed) {
      CAPTURE(slots[0]);
      CAPTURE(seed);
      Walk walk(slots, seed);
      for (int step = 0; step < 1500; ++step) walk.step();
      misses += walk.stats().misses;
      refused += walk.refused();
      CHECK(walk.stats().hits > 100);
    }
  }
  CHECK(misses > 1000);
  CHECK(refused > 100);  // the walk does meet full caches and failing links
}
