// A device that reads experts in a bounded RAM tier: addresses come and go with the bytes.
#include <doctest/doctest.h>

#include "offload/residency.h"
#include "tests/offload/disk_rig.h"

using namespace hotset;
using test::DiskRig;

namespace {

// An expert's address is where its first part lies.
class PartWindow final : public HostWindow {
 public:
  uint64_t address(ExpertId, std::span<const RecordPart> parts) override { return reinterpret_cast<uint64_t>(parts[0].bytes.data()); }
};

struct InPlaceRig : DiskRig {
  PartWindow window;
  std::vector<uint64_t> device_table;
  std::unique_ptr<Residency> residency;

  explicit InPlaceRig(uint64_t slots) : DiskRig(test::make_table(8, {9000, 9000})) {
    HostTierOptions options;
    options.budget_bytes = slots * slot_bytes();
    options.top_k = 2;
    REQUIRE(open(options).ok());
    device_table.assign(table.count(), 77);
    const std::vector<uint32_t> no_slots = {0};
    auto made = Residency::create({table, *tier, nullptr, device_table, {}, no_slots, 2, "lru", &window});
    REQUIRE_MESSAGE(made.ok(), made.status().message());
    residency = std::move(made).value();
  }

  void check_table() const {
    const Status status = residency->check();
    CHECK_MESSAGE(status.ok(), status.message());
  }
  void use(uint32_t layer, const std::vector<uint16_t>& ids, Access access = Access::kDecode) {
    REQUIRE(residency->acquire(layer, ids, access).ok());
    check_table();
    residency->retire(layer, ids, 0);
  }
};

using Ids = std::vector<uint16_t>;

}  // namespace

TEST_CASE("residency on disk: what a hint brought has an address before anyone stops for it") {
  // Once, its address came with the stop that a hint is there to save, and until then the table was wrong about it.
  InPlaceRig rig(8);
  rig.script.stuck = true;
  CHECK(rig.residency->hint(1, Ids{3, 4}) == 2);
  rig.residency->poll();
  CHECK(rig.residency->address(1, 3) == 0);
  rig.check_table();
  rig.script.stuck = false;
  for (int i = 0; i < 8; ++i) rig.residency->poll();  // hints have a part of the queue only
  rig.check_table();
  for (const uint16_t id : Ids{3, 4}) {
    CHECK(rig.residency->address(1, id) == reinterpret_cast<uint64_t>(rig.tier->parts({1, id})[0].bytes.data()));
    CHECK(rig.device_table[8 + id] == rig.residency->address(1, id));
  }
  rig.residency->touch(1, Ids{3});
  CHECK(rig.tier->stats().hint_useful == 1);
  CHECK(rig.residency->stats().decode_hits == 1);
  CHECK(rig.residency->stats().in_place == 0);  // there is no VRAM that it could have been in
}

TEST_CASE("residency on disk: hints that come while others are waited for, fail, or are evicted leave the table right") {
  InPlaceRig rig(6);
  rig.script.shuffled = true;
  for (uint32_t round = 0; round < 60; ++round) {
    const auto pick = [&] { return static_cast<uint16_t>(rig.script.random() % 8); };
    rig.script.failed_share = round % 5 == 4 ? 0.3 : 0;
    const uint32_t layer = round % 2;
    rig.residency->hint(1 - layer, Ids{pick(), pick(), pick()});
    rig.check_table();
    const Ids ids = {pick(), pick()};
    if (rig.residency->acquire(layer, ids, Access::kDecode).ok()) rig.residency->retire(layer, ids, 0);
    rig.check_table();
    rig.residency->poll();
    rig.check_table();
    rig.residency->end_token();
    rig.check_table();
  }
  CHECK(rig.tier->stats().hint_useful + rig.tier->stats().hint_late > 10);
  CHECK(rig.tier->stats().hint_wasted > 0);
}

TEST_CASE("residency on disk: a prefill takes what decode has not warmed, and decode finds its experts afterwards") {
  // Once, two waves of half of RAM each left nothing of what decode had warmed.
  InPlaceRig rig(8);
  CHECK(rig.residency->max_scan_wave(0) == 4);
  CHECK(rig.residency->scan_depth(0) == 2);
  for (int i = 0; i < 3; ++i) {
    rig.use(0, {0, 1});
    rig.use(1, {0, 1});
    rig.residency->end_token();
  }
  CHECK(rig.residency->max_scan_wave(0) == 2);
  CHECK(rig.residency->scan_depth(0) == 2);
  for (const uint32_t layer : {0u, 1u}) {
    for (uint16_t id = 2; id < 8; id += 2) rig.use(layer, {id, static_cast<uint16_t>(id + 1)}, Access::kScan);
  }
  for (const uint32_t layer : {0u, 1u}) {
    for (const uint16_t id : Ids{0, 1}) CHECK(rig.residency->in_ram(layer, id));
  }
  // Where decode has warmed everything, a scan takes what a token uses all the same.
  for (const uint32_t layer : {0u, 1u}) {
    for (uint16_t id = 0; id < 8; id += 2) rig.use(layer, {id, static_cast<uint16_t>(id + 1)});
  }
  CHECK(rig.tier->scan_room() == 2);
  CHECK(rig.residency->max_scan_wave(0) == 2);
}
