#include "offload/link_events.h"

#include <doctest/doctest.h>

#include <vector>

using namespace hotset;

namespace {

std::vector<LinkEvent> drained(LinkEvents& events) {
  std::vector<LinkEvent> out;
  events.drain([&](const LinkEvent& event) { out.push_back(event); });
  return out;
}

}  // namespace

TEST_CASE("link events: copies end with their batch") {
  LinkEvents events(8);
  events.begin_copy({0, 3}, 100, 1000, 1010);
  events.begin_copy({0, 4}, 100, 1010, 1030);
  events.sent(5);
  events.begin_copy({1, 7}, 50, 1040, 1041);
  events.completed(4, 1100);
  CHECK(drained(events).empty());
  CHECK(events.waits());
  events.completed(5, 1200);
  const auto done = drained(events);
  REQUIRE(done.size() == 2);
  CHECK(done[0].expert == ExpertId{0, 3});
  CHECK(done[0].start_ns == 1000);
  CHECK(done[0].duration_ns == 200);
  CHECK(done[1].duration_ns == 190);
  CHECK(events.waits());  // the third was not sent
  events.sent(0);         // it was there when the call returned
  const auto third = drained(events);
  REQUIRE(third.size() == 1);
  CHECK(third[0].bytes == 50);
  CHECK(third[0].duration_ns == 1);
  CHECK_FALSE(events.waits());
}

TEST_CASE("link events: a batch that was given up leaves none") {
  LinkEvents events(8);
  events.begin_copy({0, 3}, 100, 1000, 1010);
  events.sent(1);
  events.begin_copy({0, 4}, 100, 1010, 1030);
  events.discard();
  events.completed(9, 2000);
  const auto done = drained(events);
  REQUIRE(done.size() == 1);
  CHECK(done[0].expert == ExpertId{0, 3});
}

TEST_CASE("link events: what does not fit is counted") {
  LinkEvents events(2);
  for (uint16_t i = 0; i < 5; ++i) events.add({EventLink::kDiskToHost, {0, i}, 1, 1, 1});
  CHECK(events.left_out() == 3);
  CHECK(drained(events).size() == 2);
  events.add({EventLink::kDiskToHost, {0, 9}, 1, 1, 1});
  CHECK(drained(events).size() == 1);
  CHECK(events.left_out() == 3);
}
