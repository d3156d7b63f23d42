#include "offload/expert_cache.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/offload/fake_bank.h"

using namespace hotset;

namespace {

// Two layers of 8 experts, floor 1.
struct Cache {
  ExpertTable table = test::make_table(8, {100, 100});
  std::unique_ptr<ExpertCache> cache;

  explicit Cache(uint32_t slots) {
    const std::vector<uint32_t> per_class = {slots};
    const Slab slab{SlabId{0}, 0x1000, slots * table.record_bytes(0)};
    auto arena = SlotArena::create(table, per_class, {&slab, 1});
    REQUIRE(arena.ok());
    PolicyShape shape{{SizeClassId{0}, SizeClassId{0}}, 1, slots, 1, 8};
    auto policy = make_policy("lru", shape);
    REQUIRE(policy.ok());
    cache = std::make_unique<ExpertCache>(table, std::move(arena).value(), std::move(policy).value());
  }
  ExpertCache::Inserted insert(uint16_t layer, uint16_t expert, Heat heat = Heat::kHot) {
    const auto inserted = cache->insert({layer, expert}, heat);
    const Status status = cache->check();
    CHECK_MESSAGE(status.ok(), status.message());
    return inserted;
  }
  // Which experts of the layer are resident, as digits.
  std::string residents(uint16_t layer) const {
    std::string digits;
    for (uint16_t expert = 0; expert < 8; ++expert) {
      if (cache->find({layer, expert}) != kNoSlot) digits += static_cast<char>('0' + expert);
    }
    return digits;
  }
};

}  // namespace

TEST_CASE("expert cache: fills free slots, then displaces") {
  Cache c(3);
  CHECK(!c.insert(0, 1).displaced);
  CHECK(!c.insert(0, 2).displaced);
  CHECK(!c.insert(1, 1).displaced);
  CHECK(c.cache->residents() == 3);
  c.cache->touch(c.cache->find({0, 1}));
  const auto inserted = c.insert(1, 5);
  CHECK(inserted.displaced == ExpertId{0, 2});
  CHECK(c.cache->tenant(inserted.slot) == ExpertId{1, 5});
  CHECK(c.residents(0) == "1");
  CHECK(c.residents(1) == "15");
  CHECK(c.insert(1, 6).displaced == ExpertId{1, 1});  // layer 0 is at its floor
}

TEST_CASE("expert cache: no room when all are pinned, and nothing changes") {
  Cache c(2);
  const SlotId first = c.insert(0, 1).slot;
  c.cache->pin(first);
  c.cache->pin(c.insert(0, 2).slot);
  CHECK(c.insert(0, 3).slot == kNoSlot);
  CHECK(c.residents(0) == "12");
  c.cache->retire(first, 4);
  CHECK(c.insert(0, 3).slot == kNoSlot);
  c.cache->advance(4);
  CHECK(c.insert(0, 3).slot == first);
}

TEST_CASE("expert cache: forget gives the slot back") {
  Cache c(2);
  const SlotId slot = c.insert(0, 1).slot;
  c.cache->forget(slot);
  CHECK(c.cache->check().ok());
  CHECK(c.cache->find({0, 1}) == kNoSlot);
  CHECK(c.cache->residents() == 0);
  CHECK(c.insert(1, 1).slot == slot);
}

TEST_CASE("expert cache: a scan takes free slots up to its fair share, then its own leavings") {
  Cache c(6);
  for (uint16_t expert = 0; expert < 8; ++expert) c.insert(0, expert, Heat::kCold);
  CHECK(c.residents(0) == "567");
  for (uint16_t expert = 0; expert < 8; ++expert) c.insert(1, expert, Heat::kCold);
  CHECK(c.residents(0) == "567");
  CHECK(c.residents(1) == "567");
}

TEST_CASE("expert cache: a scan through a full cache costs it one slot") {
  Cache c(6);
  for (uint16_t expert = 0; expert < 3; ++expert) {
    c.insert(0, expert);
    c.insert(1, expert);
  }
  for (uint16_t expert = 3; expert < 8; ++expert) c.insert(0, expert, Heat::kCold);
  CHECK(c.residents(0) == "127");
  CHECK(c.residents(1) == "012");
  for (uint16_t expert = 3; expert < 8; ++expert) c.insert(1, expert, Heat::kCold);
  CHECK(c.residents(0) == "12");
  CHECK(c.residents(1) == "0127");
}

TEST_CASE("expert cache: a scan beyond its share takes free slots before it displaces") {
  Cache c(6);
  for (uint16_t expert = 0; expert < 4; ++expert) c.cache->pin(c.insert(0, expert, Heat::kCold).slot);
  CHECK(c.residents(0) == "0123");
  CHECK(c.cache->fair_share(0) == 3);
}

TEST_CASE("expert cache: a closed slot is never handed out, an opened one is") {
  Cache c(3);
  const SlotId slot = c.insert(0, 1).slot;
  CHECK(c.cache->close(slot) == ExpertId{0, 1});
  CHECK(c.cache->check().ok());
  CHECK(c.residents(0).empty());
  CHECK(c.cache->closed(slot));
  CHECK(c.cache->open_slots(SizeClassId{0}) == 2);
  CHECK(c.cache->fair_share(0) == 1);
  for (uint16_t expert = 2; expert < 8; ++expert) CHECK(c.insert(0, expert).slot != slot);
  CHECK(c.residents(0) == "67");
  c.cache->open(slot);
  CHECK(c.cache->check().ok());
  CHECK(!c.cache->close(slot));  // nobody moved in
  c.cache->open(slot);
  const auto inserted = c.insert(1, 0);
  CHECK(inserted.slot == slot);
  CHECK(!inserted.displaced);
  CHECK(c.residents(0) == "67");
}

TEST_CASE("expert cache: slots closed in the middle of the free list leave the others in it") {
  Cache c(6);
  for (const uint32_t slot : {2u, 5u, 0u}) CHECK(!c.cache->close(SlotId{slot}));
  std::string taken;
  for (uint16_t expert = 0; expert < 3; ++expert) taken += static_cast<char>('0' + index_of(c.insert(0, expert).slot));
  std::sort(taken.begin(), taken.end());
  CHECK(taken == "134");
  CHECK(c.insert(0, 5).displaced == ExpertId{0, 0});
}

TEST_CASE("expert cache: what a hot insert would take is what it takes") {
  Cache c(2);
  const auto free = c.cache->admits({0, 1});
  REQUIRE(free);
  CHECK(c.cache->empty(*free));
  CHECK(c.insert(0, 1).slot == *free);
  c.insert(0, 2);
  const auto victim = c.cache->admits({0, 3});
  REQUIRE(victim);
  CHECK(c.cache->tenant(*victim) == ExpertId{0, 1});
  CHECK(c.insert(0, 3).slot == *victim);
  c.cache->pin(SlotId{0});
  c.cache->pin(SlotId{1});
  CHECK(!c.cache->admits({0, 4}));
}
