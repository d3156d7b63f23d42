// Random work on the bounded RAM tier with a disk that is slow, disordered, short and failing: bytes, pins and budget hold.
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>

#include "tests/offload/disk_rig.h"

using namespace hotset;
using test::DiskRig;

namespace {

// What the test knows of the tier: who is pinned how often.
struct Model {
  std::map<uint32_t, uint32_t> pins;  // by layer * experts + expert
  uint32_t pinned() const { return static_cast<uint32_t>(pins.size()); }
};

class Walk {
 public:
  Walk(uint32_t seed, bool faults) : random_(seed), rig_(test::make_table(7, {5000, 5000, 17000})) {
    rig_.script.random.seed(seed);
    rig_.script.shuffled = true;
    if (faults) rig_.script.short_share = 0.2, rig_.script.failed_share = 0.05;
    budget_bytes_ = pick_budget();
    HostTierOptions options;
    options.top_k = 2;
    options.budget_bytes = budget_bytes_;
    REQUIRE(rig_.open(options, 1 + pick(8)).ok());
    rig_.tier->set_evict_listener([this](ExpertId id) { was_resident_.erase(key(id)); });
  }

  void step() {
    rig_.script.stuck = pick(3) == 0;
    switch (pick(8)) {
      case 0:
      case 1:
      case 2: acquire(); break;
      case 3:
      case 4: release(); break;
      case 5: rig_.tier->hint(some(1 + pick(6))); break;
      case 6: advise(); break;
      default: resize(); break;
    }
    check();
  }

  void end() {
    while (!held_.empty()) release();
    check();
  }

 private:
  uint32_t pick(uint32_t count) { return static_cast<uint32_t>(random_() % count); }
  uint64_t pick_budget() { return 2 * (rig_.slot_bytes(0) + rig_.slot_bytes(2)) + pick(12) * rig_.slot_bytes(2); }
  ExpertId any() { return {static_cast<uint16_t>(pick(3)), static_cast<uint16_t>(pick(7))}; }
  static uint32_t key(ExpertId id) { return id.layer * 7u + id.expert; }

  // Distinct experts.
  std::vector<ExpertId> some(uint32_t count) {
    std::vector<ExpertId> ids;
    while (ids.size() < count) {
      const ExpertId id = any();
      if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
    }
    return ids;
  }

  void acquire() {
    const uint32_t room = rig_.tier->max_batch() - model_.pinned();
    if (room == 0) return;
    const auto ids = some(1 + pick(room));
    const bool refuses = pick(10) == 0;
    const Status status = rig_.tier->acquire(ids, [&](size_t index) {
      CHECK(test::parts_are_right(rig_.table, ids[index], rig_.tier->parts(ids[index])));
      return refuses ? error(Code::kDevice, "made to fail") : ok_status();
    });
    if (!status.ok()) {
      CHECK((status.code() == Code::kIo || (refuses && status.code() == Code::kDevice)));
      return;
    }
    for (const ExpertId id : ids) ++model_.pins[key(id)];
    held_.push_back(ids);
  }

  void release() {
    if (held_.empty()) return;
    const size_t at = pick(static_cast<uint32_t>(held_.size()));
    rig_.tier->release(held_[at]);
    for (const ExpertId id : held_[at]) {
      if (--model_.pins[key(id)] == 0) model_.pins.erase(key(id));
    }
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void advise() {
    switch (pick(5)) {
      case 0: rig_.tier->touch(any()); break;
      case 1: rig_.tier->demote(any()); break;
      case 2: rig_.tier->cancel_hints(); break;
      case 3: rig_.tier->end_token(); break;
      default: rig_.tier->poll(); break;
    }
  }

  void resize() {
    if (!held_.empty()) {
      CHECK(rig_.tier->set_budget(1 << 30).code() == Code::kInvalidArgument);
      return;
    }
    budget_bytes_ = pick_budget();
    CHECK(rig_.tier->set_budget(budget_bytes_).ok());
  }

  void check() {
    rig_.check();
    CHECK(rig_.tier->size_bytes() <= budget_bytes_);
    for (uint16_t layer = 0; layer < 3; ++layer) {
      for (uint16_t expert = 0; expert < 7; ++expert) {
        const ExpertId id{layer, expert};
        const bool resident = rig_.tier->resident(id);
        if (model_.pins.contains(key(id))) REQUIRE(resident);
        if (was_resident_.contains(key(id))) REQUIRE(resident);  // else the listener was not told
        if (resident) was_resident_.insert(key(id));
        if (resident) REQUIRE(test::parts_are_right(rig_.table, id, rig_.tier->parts(id)));
      }
    }
  }

  std::mt19937 random_;
  DiskRig rig_;
  Model model_;
  std::set<uint32_t> was_resident_;
  uint64_t budget_bytes_ = 0;
  std::vector<std::vector<ExpertId>> held_;
};

}  // namespace

TEST_CASE("host cache: random work keeps bytes, pins and budget") {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    Walk walk(seed, seed % 2 == 0);
    for (int i = 0; i < 120; ++i) walk.step();
    walk.end();
  }
}
