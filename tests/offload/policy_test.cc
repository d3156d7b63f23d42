// Scripts of inserts, touches and pins, and the victims that follow.
#include <doctest/doctest.h>

#include "offload/policy.h"

using namespace hotset;

namespace {

// Two layers of class 0 and one of class 1; 10 slots, floor 2. Slots are numbered by the script.
struct Script {
  std::unique_ptr<Policy> policy;
  Pins pins{10};

  explicit Script(const char* name) {
    PolicyShape shape;
    shape.class_of_layer = {SizeClassId{0}, SizeClassId{0}, SizeClassId{1}};
    shape.classes = 2;
    shape.slots = 10;
    shape.floor = 2;
    shape.experts = 16;
    auto made = make_policy(name, shape);
    REQUIRE(made.ok());
    policy = std::move(made).value();
  }
  // The expert that lives in a slot has the slot's number.
  static ExpertId expert_in(uint32_t layer, uint32_t slot) { return {static_cast<uint16_t>(layer), static_cast<uint16_t>(slot)}; }
  void hot(uint32_t layer, std::initializer_list<uint32_t> slots) {
    for (const uint32_t slot : slots) policy->insert(SlotId{slot}, expert_in(layer, slot), Heat::kHot);
  }
  void cold(uint32_t layer, std::initializer_list<uint32_t> slots) {
    for (const uint32_t slot : slots) policy->insert(SlotId{slot}, expert_in(layer, slot), Heat::kCold);
  }
  uint32_t victim(uint32_t layer, Heat reach = Heat::kHot) {
    REQUIRE(policy->check().ok());
    return index_of(policy->victim(layer, reach, pins));
  }
  // Evicts victims for `layer` until there are none.
  std::vector<uint32_t> drain(uint32_t layer) {
    std::vector<uint32_t> order;
    for (uint32_t slot = victim(layer); slot != index_of(kNoSlot); slot = victim(layer)) {
      order.push_back(slot);
      policy->erase(SlotId{slot});
    }
    return order;
  }
};

using Order = std::vector<uint32_t>;

}  // namespace

TEST_CASE("policy: an unknown name lists the known ones") {
  const auto made = make_policy("clairvoyant", {});
  CHECK(made.status().code() == Code::kInvalidArgument);
  CHECK(made.status().message().find("'clairvoyant'") != std::string::npos);
  CHECK(made.status().message().find("lru") != std::string::npos);
}

TEST_CASE("lru: an empty policy has no victim") {
  Script s("lru");
  CHECK(s.policy->name() == "lru");
  CHECK(s.victim(0) == index_of(kNoSlot));
}

TEST_CASE("lru: the oldest goes first, a touch makes young") {
  Script s("lru");
  s.hot(0, {0, 1, 2, 3});
  CHECK(s.victim(0) == 0);
  s.policy->touch(SlotId{0});
  s.policy->touch(SlotId{2});
  CHECK(s.drain(0) == Order{1, 3, 0, 2});
}

TEST_CASE("lru: the oldest over both layers goes, down to the other layer's floor") {
  Script s("lru");
  s.hot(1, {0, 1, 2});
  s.hot(0, {3, 4});
  CHECK(s.drain(0) == Order{0, 3, 4});  // layer 1 keeps 1 and 2
  CHECK(s.policy->residents(1) == 2);
  CHECK(s.victim(1) == 1);              // to its own demand it gives them
}

TEST_CASE("lru: layers of another size class are left alone") {
  Script s("lru");
  s.hot(2, {0, 1, 2, 3});
  s.hot(0, {4});
  CHECK(s.drain(0) == Order{4});
  CHECK(s.drain(2) == Order{0, 1, 2, 3});
}

TEST_CASE("lru: cold goes before hot, the oldest cold first, and a touch makes hot") {
  Script s("lru");
  s.hot(0, {0, 1});
  s.cold(0, {2, 3, 4});
  s.policy->touch(SlotId{3});
  CHECK(s.victim(0, Heat::kCold) == 2);
  CHECK(s.drain(0) == Order{2, 4, 0, 1, 3});
}

TEST_CASE("lru: a cold reach never finds a hot one") {
  Script s("lru");
  s.hot(0, {0, 1, 2});
  CHECK(s.victim(0, Heat::kCold) == index_of(kNoSlot));
  s.cold(1, {3, 4});
  CHECK(s.victim(0, Heat::kCold) == index_of(kNoSlot));  // layer 1 is at its floor
  s.cold(1, {5});
  CHECK(s.victim(0, Heat::kCold) == 3);
  s.cold(0, {6});
  CHECK(s.victim(0, Heat::kCold) == 6);  // its own first,
  CHECK(s.victim(0, Heat::kHot) == 3);   // while a decode takes the oldest
}

TEST_CASE("lru: the pinned stay, wherever they stand") {
  Script s("lru");
  s.hot(0, {0, 1, 2});
  s.pins.add(SlotId{0});
  s.pins.add(SlotId{1});
  CHECK(s.victim(0) == 2);
  s.pins.retire(SlotId{1}, 7);
  CHECK(s.victim(0) == 2);
  s.pins.advance(6);
  CHECK(s.victim(0) == 2);
  s.pins.advance(7);
  CHECK(s.victim(0) == 1);  // its place in the order was kept
  s.pins.retire(SlotId{0}, 0);
  CHECK(s.drain(0) == Order{0, 1, 2});
}

TEST_CASE("pins: counted, and held until the last holder's value has passed") {
  Pins pins(2);
  const SlotId slot{1};
  CHECK(!pins.pinned(slot));
  pins.add(slot);
  pins.add(slot);
  pins.retire(slot, 9);
  pins.advance(20);
  CHECK(pins.pinned(slot));
  pins.retire(slot, 0);
  CHECK(!pins.pinned(slot));
  pins.add(slot);
  pins.retire(slot, 22);
  pins.advance(21);
  CHECK(pins.pinned(slot));
  pins.advance(5);  // time does not run backwards
  pins.advance(22);
  CHECK(!pins.pinned(slot));
  CHECK(!pins.pinned(SlotId{0}));
}
