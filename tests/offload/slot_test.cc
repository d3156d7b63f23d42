// How budgets become slots, slots become slabs, and slots are handed out.
#include <doctest/doctest.h>

#include <set>

#include "offload/slot_arena.h"
#include "offload/slot_plan.h"
#include "tests/offload/fake_bank.h"

using namespace hotset;

namespace {

uint64_t bytes_of(const ExpertTable& table, const std::vector<uint32_t>& slots) {
  uint64_t bytes = 0;
  for (uint32_t c = 0; c < table.classes(); ++c) bytes += slots[c] * table.class_record_bytes(SizeClassId{c});
  return bytes;
}

}  // namespace

TEST_CASE("slot plan: least, share and everything") {
  // Records of 2048 in 3 layers and of 4096 in 1 layer, 16 experts each.
  const ExpertTable table = test::make_table(16, {1024, 1024, 3072, 1024});
  CHECK(least_slot_bytes(table, 2) == 2 * 2 * 2048 + 2 * 4096);
  struct Row {
    uint64_t budget_bytes;
    uint32_t top_k;
    std::vector<uint32_t> slots;
  };
  const Row rows[] = {
      {2 * 2 * 2048 + 2 * 4096, 2, {4, 2}},               // the least
      {2 * 2 * 2048 + 2 * 4096 + 2047, 2, {4, 2}},        // not enough for one more
      {2 * 2 * 2048 + 2 * 4096 + 2048, 2, {5, 2}},
      {(48 * 2048 + 16 * 4096) / 2, 2, {24, 8}},          // the same half of both classes
      {(48 * 2048 + 16 * 4096) / 4, 4, {12, 4}},          // a quarter
      {48 * 2048 + 16 * 4096, 2, {48, 16}},               // all
      {uint64_t{1} << 50, 2, {48, 16}},                   // no more than all
      {48 * 2048 + 16 * 4096, 16, {48, 16}},              // all are used at once
  };
  for (const Row& row : rows) {
    CAPTURE(row.budget_bytes);
    const auto slots = plan_slots(table, row.budget_bytes, row.top_k);
    REQUIRE_MESSAGE(slots.ok(), slots.status().message());
    CHECK(*slots == row.slots);
  }
}

TEST_CASE("slot plan: never above the budget, never a slot's worth left over") {
  const ExpertTable table = test::make_table(16, {1024, 1024, 3072, 1024});
  for (uint64_t budget = least_slot_bytes(table, 3); budget < table.total_bytes(); budget += 777) {
    const auto slots = plan_slots(table, budget, 3);
    REQUIRE(slots.ok());
    CHECK(bytes_of(table, *slots) <= budget);
    CHECK(budget - bytes_of(table, *slots) < 4096);
    CHECK((*slots)[0] >= 6);
    CHECK((*slots)[1] >= 3);
  }
}

TEST_CASE("slot plan: too small a budget names the least; a bad top-k is refused") {
  const ExpertTable table = test::make_table(16, {1024, 1024});
  const auto poor = plan_slots(table, 8191, 2);
  CHECK(poor.status().code() == Code::kOverBudget);
  CHECK(poor.status().message().find("8192 bytes") != std::string::npos);
  CHECK(plan_slots(table, 1u << 20, 0).status().code() == Code::kInvalidArgument);
  CHECK(plan_slots(table, 1u << 20, 17).status().code() == Code::kInvalidArgument);
}

TEST_CASE("slot plan: a slab holds one class; floors and room to grow have slabs of their own") {
  const ExpertTable table = test::make_table(16, {1024, 3072});
  const std::vector<uint32_t> slots = {7, 3};
  const auto slabs = plan_slabs(table, slots, 3 * 4096);
  REQUIRE(slabs.ok());
  CHECK(*slabs == std::vector<uint64_t>{6 * 2048, 2048, 3 * 4096});
  const auto all = plan_all_slabs(table, slots, 2, 3 * 4096);
  REQUIRE(all.ok());
  CHECK(all->slab_bytes == std::vector<uint64_t>{2 * 2048, 5 * 2048, 6 * 2048, 3 * 2048, 2 * 4096, 4096, 3 * 4096, 3 * 4096, 3 * 4096, 3 * 4096, 4096});
  CHECK(all->open == std::vector<bool>{true, true, false, false, true, true, false, false, false, false, false});
  CHECK(all->slots_per_class == std::vector<uint32_t>{16, 16});
  CHECK(plan_slabs(table, slots, 4095).status().code() == Code::kInvalidArgument);
}

TEST_CASE("slot arena: slots lie apart, inside their slab, and are handed out once") {
  const ExpertTable table = test::make_table(16, {1024, 3072});
  const std::vector<uint32_t> slots = {7, 3};
  const std::vector<Slab> slabs = {{SlabId{4}, 0x100000, 6 * 2048}, {SlabId{9}, 0x900000, 2048 + 2 * 4096}, {SlabId{2}, 0x200000, 4096}};
  auto arena = SlotArena::create(table, slots, slabs);
  REQUIRE(arena.ok());
  CHECK(arena->slots() == 10);
  CHECK(arena->place(SlotId{6}).slab == SlabId{9});
  CHECK(arena->place(SlotId{6}).offset_bytes == 0);
  CHECK(arena->place(SlotId{7}).offset_bytes == 2048);
  CHECK(arena->place(SlotId{7}).device_address == 0x900800);
  CHECK(arena->place(SlotId{9}).slab == SlabId{2});
  std::set<SlotId> taken;
  for (uint32_t i = 0; i < 3; ++i) {
    const SlotId slot = arena->take(SizeClassId{1});
    CHECK(arena->size_class(slot) == SizeClassId{1});
    CHECK(taken.insert(slot).second);
  }
  CHECK(arena->take(SizeClassId{1}) == kNoSlot);
  CHECK(arena->free_slots(SizeClassId{0}) == 7);
  arena->give_back(SlotId{8});
  CHECK(arena->is_free(SlotId{8}));
  CHECK(arena->take(SizeClassId{1}) == SlotId{8});
}

TEST_CASE("slot arena: slabs that do not do") {
  const ExpertTable table = test::make_table(16, {1024});
  const std::vector<uint32_t> slots = {4};
  const std::vector<std::vector<Slab>> rows = {
      {},
      {{SlabId{0}, 0x1000, 4 * 2048 - 1}},
      {{SlabId{0}, 0x1000, 2 * 2048 + 2047}, {SlabId{1}, 0x9000, 2048 + 2047}},  // no slot straddles
      {{SlabId{0}, 0x1001, 4 * 2048}},
      {{SlabId{0}, 0, 4 * 2048}},
  };
  for (const auto& slabs : rows) CHECK(SlotArena::create(table, slots, slabs).status().code() == Code::kInvalidArgument);
}
