#include "offload/residency.h"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/offload/rig.h"

using namespace hotset;
using test::Rig;

namespace {

std::vector<uint16_t> range(uint16_t from, uint16_t to) {
  std::vector<uint16_t> ids(to - from);
  std::iota(ids.begin(), ids.end(), from);
  return ids;
}

}  // namespace

TEST_CASE("residency: a miss is copied and published, a hit is neither") {
  Rig rig(test::make_table(8, {100, 900}), {6, 6}, 2);
  CHECK(std::count(rig.device_table.begin(), rig.device_table.end(), 0u) == 16);
  const Acquired first = rig.use(0, {3, 5});
  CHECK(first.hits == 0);
  CHECK(first.misses == 2);
  CHECK(rig.residency->copies_to_wait_for() == 0);
  CHECK(rig.address(0, 3) != 0);
  CHECK(rig.holds_its_bytes(0, 3));
  CHECK(rig.holds_its_bytes(0, 5));
  const Acquired second = rig.use(0, {5, 3, 5});
  CHECK(second.hits == 2);
  CHECK(second.misses == 0);
  rig.use(1, {3});
  CHECK(rig.holds_its_bytes(1, 3));
  rig.residency->end_token();
  const ResidencyStats stats = rig.residency->stats();
  CHECK(stats.lookups == 5);
  CHECK(stats.hits == 2);
  CHECK(stats.misses == 3);
  CHECK(stats.decode_lookups == 5);
  CHECK(stats.decode_hits == 2);
  CHECK(stats.uploads == 3);
  CHECK(stats.upload_bytes == 2 * rig.table.record_bytes(0) + rig.table.record_bytes(1));
  CHECK(stats.upload_bytes == rig.link->stats().bytes);
  CHECK(stats.evictions == 0);
  CHECK(stats.tokens == 1);
  CHECK(stats.residents == 3);
  CHECK(stats.slots == 12);
  CHECK(rig.residency->resident(1, 3));
  CHECK(!rig.residency->resident(1, 4));
  CHECK(!rig.residency->resident(9, 400));
}

TEST_CASE("residency: layers of fewer experts keep their own, and nothing else stands for the others") {
  const ExpertTable table = test::make_uneven_table({8, 2, 3}, {100, 100, 900});
  const auto least = plan_slots(table, least_slot_bytes(table, 3), 3);
  REQUIRE(least.ok());
  CHECK(*least == std::vector<uint32_t>{3 + 2, 3});
  Rig rig(test::make_uneven_table({8, 2, 3}, {100, 100, 900}), *least, 3);
  for (uint16_t round = 0; round < 20; ++round) {
    const auto at = [&](uint16_t step) { return static_cast<uint16_t>((round * 3 + step) % 8); };
    rig.use(0, {at(0), at(1), at(2)});
    rig.use(1, {0, 1, 1});
    rig.use(2, {0, 1, 2});
    CHECK(rig.holds_its_bytes(0, at(2)));
    CHECK(rig.holds_its_bytes(1, 1));
    CHECK(rig.holds_its_bytes(2, 2));
    if (round > 0) CHECK(rig.use(1, {0, 1}).hits == 2);
  }
  CHECK(rig.residency->acquire(1, std::vector<uint16_t>{2}, Access::kDecode).status().code() == Code::kInvalidArgument);
  CHECK_FALSE(rig.residency->resident(1, 2));
  CHECK(rig.residency->max_scan_wave(1) == 2);
  CHECK(rig.address(1, 2) == 0);
  CHECK(rig.host->size_bytes() == rig.table.total_bytes());
}

TEST_CASE("residency: the evicted leave the device table") {
  Rig rig(test::make_table(8, {100}), {3}, 2);
  rig.use(0, {0, 1});
  rig.use(0, {2});
  rig.use(0, {0});
  const uint64_t address = rig.address(0, 1);
  rig.use(0, {7});
  CHECK(rig.address(0, 1) == 0);
  CHECK(rig.address(0, 7) == address);
  CHECK(rig.holds_its_bytes(0, 7));
  CHECK(rig.residency->stats().evictions == 1);
}

TEST_CASE("residency: touch makes recent without copies; strangers are passed over") {
  Rig rig(test::make_table(8, {100}), {3}, 2);
  rig.use(0, {0, 1});
  rig.use(0, {2});
  rig.residency->touch(0, std::vector<uint16_t>{0, 6, 60000});
  rig.residency->touch(5, std::vector<uint16_t>{0});
  CHECK(rig.residency->stats().hits == 1);
  rig.use(0, {3});
  CHECK(rig.residency->resident(0, 0));
  CHECK(!rig.residency->resident(0, 1));
}

TEST_CASE("residency: pinned experts stay until the GPU has passed") {
  Rig rig(test::make_table(8, {100}), {2}, 2);
  Residency& r = *rig.residency;
  const std::vector<uint16_t> ids = {0, 1};
  const std::vector<uint16_t> others = {2, 3};
  REQUIRE(r.acquire(0, ids, Access::kDecode).ok());
  CHECK(r.acquire(0, others, Access::kDecode).status().code() == Code::kOverBudget);
  REQUIRE(r.check().ok());
  r.retire(0, ids, 5);
  r.advance(4);
  CHECK(r.acquire(0, others, Access::kDecode).status().code() == Code::kOverBudget);
  CHECK(r.resident(0, 0));
  r.advance(5);
  CHECK(r.acquire(0, others, Access::kDecode).ok());
  CHECK(!r.resident(0, 0));
  CHECK(r.check().ok());
}

TEST_CASE("residency: bad ids are refused and pin nothing") {
  Rig rig(test::make_table(8, {100}), {2}, 2);
  CHECK(rig.residency->acquire(0, std::vector<uint16_t>{0, 8}, Access::kDecode).status().code() == Code::kInvalidArgument);
  CHECK(rig.residency->acquire(1, std::vector<uint16_t>{0}, Access::kDecode).status().code() == Code::kInvalidArgument);
  CHECK(rig.residency->stats().residents == 0);
  CHECK(rig.use(0, {}).misses == 0);
  rig.use(0, {0, 1});
  rig.use(0, {2, 3});  // would fail were anything still pinned
}

TEST_CASE("residency: submits wait for the last copy that the table leads to") {
  Rig rig(test::make_table(8, {100}), {4}, 2);
  rig.link->delayed = true;
  CHECK(rig.residency->copies_to_wait_for() == 0);
  rig.use(0, {0});
  CHECK(rig.residency->copies_to_wait_for() == 1);
  rig.use(0, {1});
  CHECK(rig.residency->copies_to_wait_for() == 2);
  rig.use(0, {0, 1});  // hits copy nothing
  CHECK(rig.residency->copies_to_wait_for() == 2);
  rig.link->complete(2);
  CHECK(rig.holds_its_bytes(0, 0));
  CHECK(rig.holds_its_bytes(0, 1));
}

TEST_CASE("residency: whatever call of the link fails, nothing is pinned and the table is true") {
  for (int call = 1; call <= 4; ++call) {
    CAPTURE(call);
    Rig rig(test::make_table(8, {100}), {4}, 3);
    rig.use(0, {0, 1});
    rig.use(0, {2, 3});
    if (call <= 3) rig.link->fail_copy_in = call;
    else rig.link->fail_submit_in = 1;
    const auto acquired = rig.residency->acquire(0, std::vector<uint16_t>{3, 4, 5, 6}, Access::kDecode);
    CHECK(acquired.status().code() == Code::kDevice);
    CHECK(rig.link->discards == 1);
    const Status status = rig.residency->check();
    CHECK_MESSAGE(status.ok(), status.message());
    for (uint16_t id = 4; id < 7; ++id) CHECK(!rig.residency->resident(0, id));
    CHECK(rig.residency->resident(0, 3));
    rig.use(0, {4, 5, 6, 7});  // all four slots can be had
    for (uint16_t id = 4; id < 8; ++id) CHECK(rig.holds_its_bytes(0, id));
  }
}

TEST_CASE("residency: the smallest budget holds a token's experts of all layers at once") {
  Rig rig(test::make_table(8, {100, 100, 900, 100}), {6, 2}, 2);
  for (uint16_t token = 0; token < 4; ++token) {
    for (uint32_t layer = 0; layer < 4; ++layer) {
      const std::vector<uint16_t> ids = {static_cast<uint16_t>(2 * token), static_cast<uint16_t>(2 * token + 1)};
      const auto acquired = rig.residency->acquire(layer, ids, Access::kDecode);
      REQUIRE_MESSAGE(acquired.ok(), acquired.status().message());
      rig.residency->retire(layer, ids, token + 1);
    }
    for (uint32_t layer = 0; layer < 4; ++layer) CHECK(rig.residents(layer) == 2);
    rig.residency->advance(token + 1);
  }
}

namespace {

// Two scans of all layers, with as many waves pinned as the residency says.
void scan_twice(Rig& rig) {
  Residency& r = *rig.residency;
  uint64_t gpu_value = 0;
  for (uint32_t step = 0; step < 2 * rig.table.layers(); ++step) {
    const uint32_t layer = step % rig.table.layers(), wave = r.max_scan_wave(layer), experts = rig.table.experts(layer);
    REQUIRE(wave >= 2);
    for (uint32_t from = 0; from < experts; from += wave) {
      const auto ids = range(static_cast<uint16_t>(from), static_cast<uint16_t>(std::min(experts, from + wave)));
      const uint64_t in_flight = r.scan_depth(layer) - 1;
      r.advance(gpu_value - std::min(gpu_value, in_flight));
      const auto acquired = r.acquire(layer, ids, Access::kScan);
      REQUIRE_MESSAGE(acquired.ok(), acquired.status().message());
      for (const uint16_t id : ids) CHECK(rig.holds_its_bytes(layer, id));
      r.retire(layer, ids, ++gpu_value);
      REQUIRE(r.check().ok());
    }
  }
}

}  // namespace

TEST_CASE("residency: waves of a scan fit at every budget") {
  for (uint32_t slots = 4; slots <= 48; ++slots) {
    CAPTURE(slots);
    Rig rig(test::make_table(16, {100, 100, 100}), {slots}, 2);
    scan_twice(rig);
    if (slots <= 5 || slots >= 8) CHECK(rig.residency->scan_depth(0) == 2);  // at 6 and 7 the layers keep what the second wave would need
    if (slots == 48) CHECK(rig.residency->stats().misses == 48);  // with room for all, the second scan only hits
  }
}

TEST_CASE("residency: waves of a scan fit where layers hold different numbers of experts") {
  for (uint32_t slots = 6; slots <= 34; ++slots) {
    CAPTURE(slots);
    Rig rig(test::make_uneven_table({20, 2, 3, 9}, {100, 100, 100, 100}), {slots}, 3);
    scan_twice(rig);
    CHECK(rig.residency->scan_depth(1) == (slots < 12 || slots > 14 ? 2 : 1));  // 12 to 14: as above
  }
}

TEST_CASE("residency: a prefill scan leaves at least three quarters of decode's experts in place") {
  constexpr uint32_t kLayers = 5;
  constexpr uint32_t kExperts = 32;
  Rig rig(test::make_table(kExperts, {100, 100, 100, 100, 100}), {kLayers * kExperts / 4}, 2);
  Residency& r = *rig.residency;
  // A hot set that fills the cache.
  for (uint16_t round = 0; round < 4; ++round) {
    for (uint32_t layer = 0; layer < kLayers; ++layer) rig.use(layer, {static_cast<uint16_t>(2 * round), static_cast<uint16_t>(2 * round + 1)});
  }
  REQUIRE(r.stats().residents == kLayers * 8);
  uint64_t gpu_value = 0;
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    const uint32_t wave = r.max_scan_wave(layer);
    for (uint32_t from = 0; from < kExperts; from += wave) {
      const auto ids = range(static_cast<uint16_t>(from), static_cast<uint16_t>(from + wave));
      r.advance(gpu_value == 0 ? 0 : gpu_value - 1);  // two waves at a time
      REQUIRE(r.acquire(layer, ids, Access::kScan).ok());
      r.retire(layer, ids, ++gpu_value);
    }
  }
  uint32_t kept = 0;
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    for (uint32_t expert = 0; expert < 8; ++expert) kept += r.resident(layer, expert) ? 1 : 0;
  }
  CHECK(kept >= kLayers * 8 * 3 / 4);
}

TEST_CASE("residency: parts that do not go together are refused") {
  const ExpertTable table = test::make_table(8, {100, 100});
  const auto host = test::make_host(table);
  test::FakeLink link({1u << 20});
  std::vector<uint64_t> device_table(16);
  std::vector<uint64_t> short_table(15);
  const Slab slab{SlabId{0}, 0x1000, 1u << 20};
  const Slab small{SlabId{0}, 0x1000, 4096};
  const std::vector<uint32_t> slots = {4};
  const std::vector<uint32_t> few = {3};
  const std::vector<uint32_t> two_classes = {4, 4};
  const ResidencyParts good{table, *host, &link, device_table, {&slab, 1}, slots, 2, "lru"};
  CHECK(Residency::create(good).ok());
  const ResidencyParts rows[] = {
      {table, *host, &link, short_table, {&slab, 1}, slots, 2, "lru"},  {table, *host, &link, device_table, {&small, 1}, slots, 2, "lru"},
      {table, *host, &link, device_table, {&slab, 1}, few, 2, "lru"},   {table, *host, &link, device_table, {&slab, 1}, two_classes, 2, "lru"},
      {table, *host, &link, device_table, {&slab, 1}, slots, 0, "lru"}, {table, *host, &link, device_table, {&slab, 1}, slots, 9, "lru"},
      {table, *host, &link, device_table, {&slab, 1}, slots, 2, "fifo"},
  };
  for (const ResidencyParts& parts : rows) CHECK(Residency::create(parts).status().code() == Code::kInvalidArgument);
}

TEST_CASE("residency: without slots a token finds nothing in VRAM, whatever a prompt left there") {
  Rig rig(test::make_table(8, {100, 900}), {6, 6}, 2);
  Serving serving;
  serving.use_slots = false;
  CHECK(rig.residency->set_serving(serving).code() == Code::kInvalidArgument);  // a wait needs a slot
  serving.decode = MissMode::kCpu;
  REQUIRE(rig.residency->set_serving(serving).ok());
  rig.use(0, {0, 1, 2}, Access::kScan);
  CHECK(rig.holds_its_bytes(0, 1));
  CHECK(rig.residents(0) == 3);
  rig.residency->begin_token();
  CHECK(rig.residents(0) == 0);
  CHECK(rig.address(0, 1) == 0);
  const Acquired acquired = rig.use(0, {1, 5});
  CHECK(acquired.hits == 0);
  CHECK(acquired.misses == 2);
  CHECK(rig.residency->stats().on_host == 2);
  rig.residency->end_token();
  CHECK(rig.residents(0) == 0);
  serving.use_slots = true;
  REQUIRE(rig.residency->set_serving(serving).ok());
  rig.use(0, {0, 1}, Access::kLoad);
  rig.residency->begin_token();
  CHECK(rig.residents(0) == 2);
}

TEST_CASE("residency: copies are reported when they are there") {
  Rig rig(test::make_table(8, {100}), {4}, 2);
  LinkEvents events;
  rig.residency->set_events(&events);
  std::vector<LinkEvent> seen;
  const auto drain = [&] { events.drain([&](const LinkEvent& event) { seen.push_back(event); }); };
  rig.use(0, {3, 5});
  drain();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].expert == ExpertId{0, 3});
  CHECK(seen[0].link == EventLink::kHostToDevice);
  CHECK(seen[0].bytes == rig.table.record_bytes(0));
  rig.link->delayed = true;
  rig.use(0, {1});
  rig.residency->poll();
  drain();
  CHECK(seen.size() == 2);
  rig.link->complete(2);
  rig.residency->poll();
  drain();
  CHECK(seen.size() == 3);
  rig.link->delayed = false;
  rig.link->fail_submit_in = 1;
  CHECK_FALSE(rig.residency->acquire(0, std::vector<uint16_t>{6}, Access::kDecode).ok());
  rig.residency->poll();
  drain();
  CHECK(seen.size() == 3);
  CHECK_FALSE(events.waits());
  rig.residency->set_events(nullptr);
  rig.use(0, {7});
  drain();
  CHECK(seen.size() == 3);
}
