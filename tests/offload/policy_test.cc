// Scripts of inserts, touches and pins, and the victims that follow.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "offload/policy.h"

using namespace hotset;

namespace {

// Two layers of class 0 and one of class 1; 10 slots, floor 2. Slots are numbered by the script.
struct Script {
  std::unique_ptr<Policy> policy;
  Pins pins{10};

  explicit Script(std::string_view name) {
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
  void use(uint32_t layer, std::initializer_list<uint32_t> slots) {
    for (const uint32_t slot : slots) {
      if (slot < 10 && policy->knows(SlotId{slot})) policy->touch(SlotId{slot});
      else policy->used_elsewhere(expert_in(layer, slot));
    }
  }
  // Tokens that use these experts of one layer each.
  void tokens(uint32_t count, uint32_t layer, std::initializer_list<uint32_t> slots) {
    for (uint32_t i = 0; i < count; ++i) {
      use(layer, slots);
      policy->end_token();
    }
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
  for (const std::string_view name : policy_names()) CHECK(made.status().message().find(name) != std::string::npos);
}

TEST_CASE("policies: every name makes the policy of that name, which is empty") {
  for (const std::string_view name : policy_names()) {
    Script s(name);
    CHECK(s.policy->name() == name);
    CHECK(s.victim(0) == index_of(kNoSlot));
    CHECK(s.victim(2, Heat::kCold) == index_of(kNoSlot));
  }
}

TEST_CASE("policies: floors, size classes, heat and pins hold for all of them") {
  for (const std::string_view name : policy_names()) {
    CAPTURE(name);
    Script s(name);
    s.hot(1, {0, 1, 2});
    s.hot(0, {3});
    s.hot(2, {8, 9});
    s.cold(0, {4, 5});
    s.pins.add(SlotId{3});
    CHECK(s.victim(0, Heat::kCold) == 4);
    CHECK(s.victim(0) == s.victim(0));
    Order order = s.drain(0);
    REQUIRE(order.size() == 3);  // the cold, then one of layer 1, which keeps its floor; the pinned stays
    CHECK(Order(order.begin(), order.begin() + 2) == Order{4, 5});
    CHECK(order[2] <= 2);
    CHECK(s.victim(0, Heat::kCold) == index_of(kNoSlot));
    CHECK(s.policy->residents(1) == 2);
    CHECK(s.policy->residents(2) == 2);
    s.pins.retire(SlotId{3}, 0);
    CHECK(s.drain(0) == Order{3});
    CHECK(s.drain(1).size() == 2);
    CHECK(s.drain(2).size() == 2);
  }
}

TEST_CASE("policies: a scan's leavings that a token used are hot") {
  for (const std::string_view name : policy_names()) {
    CAPTURE(name);
    Script s(name);
    s.cold(0, {0, 1, 2});
    s.policy->touch(SlotId{1});
    CHECK(s.policy->heat_of(SlotId{1}) == Heat::kHot);
    CHECK(s.drain(0) == Order{0, 2, 1});
  }
}

TEST_CASE("policies: whoever is used all the time outlasts whoever is not, and is worth more") {
  for (const std::string_view name : policy_names()) {
    CAPTURE(name);
    Script s(name);
    s.hot(0, {0, 1, 2, 3});
    s.tokens(1, 0, {0, 1, 2, 3});
    s.tokens(40, 0, {2, 9});
    CHECK(s.policy->worth({0, 2}) > s.policy->worth({0, 1}));
    if (name != "s3fifo") {  // counts the uses of residents only
      CHECK(s.policy->worth({0, 9}) > s.policy->worth({0, 1}));
      CHECK(s.policy->worth({0, 9}) == doctest::Approx(s.policy->worth({0, 2})).epsilon(0.1));
    }
    CHECK(s.drain(0).back() == 2);
  }
}

TEST_CASE("policies: thousands of random calls keep the books right") {
  for (const std::string_view name : policy_names()) {
    CAPTURE(name);
    Script s(name);
    std::mt19937 random(7);
    for (uint32_t step = 0; step < 6000; ++step) {
      const auto layer = static_cast<uint32_t>(random() % 3);
      const auto number = static_cast<uint32_t>(random() % 10);
      const SlotId slot{number};
      if (s.policy->knows(slot)) {
        const uint64_t choice = random() % 8;
        if (choice == 0) s.policy->erase(slot);
        else if (choice < 5) s.policy->touch(slot);
        else if (s.pins.holders(slot) == 0) s.pins.add(slot);
        else s.pins.retire(slot, 0);
      } else if (s.pins.holders(slot) == 0) {
        s.policy->used_elsewhere(Script::expert_in(layer, number));
        s.policy->insert(slot, Script::expert_in(layer, number), random() % 4 == 0 ? Heat::kCold : Heat::kHot);
      }
      if (random() % 4 == 0) s.policy->end_token();
      const SlotId victim = s.policy->victim(layer, Heat::kHot, s.pins);
      REQUIRE(s.policy->check().ok());
      if (victim == kNoSlot) continue;
      REQUIRE(s.policy->knows(victim));
      REQUIRE(!s.pins.pinned(victim));
      const uint32_t other = s.policy->tenant_of(victim).layer;
      REQUIRE((other == 2) == (layer == 2));
      if (other != layer) REQUIRE(s.policy->residents(other) > 2);
      if (random() % 3 == 0) s.policy->erase(victim);
    }
  }
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

TEST_CASE("lfu: counts for ever") {
  Script s("lfu");
  s.hot(0, {0, 1, 2});
  s.tokens(5, 0, {1});
  s.tokens(1000, 1, {15});
  s.tokens(4, 0, {0});
  CHECK(s.policy->worth({0, 1}) == 5);
  CHECK(s.drain(0) == Order{2, 0, 1});
}

TEST_CASE("lrfu: a use counts half after a half-life") {
  Script s("lrfu");
  s.hot(0, {0, 1});
  s.tokens(3, 0, {0});
  CHECK(s.victim(0) == 1);
  s.tokens(30, 1, {15});
  s.use(0, {1});
  CHECK(s.policy->worth({0, 1}) == 1);
  CHECK(s.policy->worth({0, 0}) == doctest::Approx(3 * 0.25).epsilon(0.1));
  CHECK(s.drain(0) == Order{0, 1});
}

TEST_CASE("lrfu: scores stay finite and in order through a million tokens") {
  Script s("lrfu");
  s.hot(0, {0, 1, 2});
  for (uint32_t token = 0; token < 1000000; ++token) {
    if (token % 5 == 0) s.use(0, {0});
    if (token % 3 == 0) s.use(0, {1});
    s.policy->end_token();
  }
  CHECK(s.policy->worth({0, 1}) == doctest::Approx(16 / std::log(2.0) / 3).epsilon(0.1));
  CHECK(s.drain(0) == Order{2, 0, 1});
}

TEST_CASE("lrfu, forecast: an upload must promise half as much again") {
  for (const std::string_view name : {"lrfu", "forecast"}) {
    CAPTURE(name);
    Script s(name);
    s.hot(0, {0, 1});
    s.tokens(12, 0, {0, 14});
    CHECK(s.policy->admits({0, 14}, SlotId{1}));
    CHECK(!s.policy->admits({0, 14}, SlotId{0}));
    CHECK(!s.policy->admits({0, 13}, SlotId{0}));
  }
  Script lru("lru");
  lru.hot(0, {0});
  CHECK(lru.policy->admits({0, 14}, SlotId{0}));
}

TEST_CASE("s3fifo: newcomers leave in turn, those used twice stay, those that come back soon go to the main queue") {
  Script s("s3fifo");
  s.hot(0, {0, 1, 2, 3, 4});
  s.use(0, {1, 1, 3});
  CHECK(s.victim(0) == 0);
  s.policy->erase(SlotId{0});
  CHECK(s.victim(0) == 2);  // 1 was used twice and is in the main queue now
  s.hot(0, {0});            // remembered
  for (const uint32_t slot : {2u, 3u, 4u}) s.policy->erase(SlotId{slot});
  CHECK(s.drain(0) == Order{1, 0});
}

TEST_CASE("forecast: an expert that follows another one outlasts its equals when that one runs") {
  Script s("forecast");
  s.hot(0, {0, 1, 2, 3});
  // 0 is always followed by 1, 2 by 3; all four are used equally often.
  for (uint32_t round = 0; round < 60; ++round) {
    for (const uint32_t slot : {0u, 1u, 2u, 3u}) s.tokens(1, 0, {slot});
  }
  s.use(0, {0});
  CHECK(s.policy->worth({0, 1}) > 2 * s.policy->worth({0, 2}));
  CHECK(s.policy->worth({0, 1}) > 2 * s.policy->worth({0, 3}));
  CHECK(s.drain(0).back() == 1);
}

TEST_CASE("forecast: of equals, those of the layer that just ran go first") {
  Script s("forecast");
  s.hot(0, {0, 1, 2});
  s.hot(1, {3, 4, 5});
  for (uint32_t token = 0; token < 50; ++token) {
    s.use(0, {0, 1, 2});
    s.use(1, {3, 4, 5});
    s.policy->end_token();
  }
  s.use(0, {0, 1, 2});
  CHECK(s.policy->tenant_of(SlotId{s.victim(1)}).layer == 0);
  s.use(1, {3, 4, 5});
  CHECK(s.policy->tenant_of(SlotId{s.victim(0)}).layer == 1);
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
