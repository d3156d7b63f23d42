#include "runtime/engine/link_timeline.h"

#include <doctest/doctest.h>

#include <numeric>

using namespace hotset;

TEST_CASE("link timeline: bytes are spread over the time of their transfer") {
  const LinkEvent events[] = {{EventLink::kDiskToHost, {0, 0}, 1000, 5'000'000, 10'000'000},
                              {EventLink::kHostToDevice, {0, 1}, 300, 12'500'000, 0},
                              {EventLink::kDiskToHost, {0, 2}, 400, 15'000'000, 30'000'000}};
  const LinkTimeline timeline = timeline_of(events, 4);  // 40 ms from the first start
  CHECK(timeline.bucket_ms == doctest::Approx(10));
  REQUIRE(timeline.links.size() == 2);
  CHECK(timeline.links[0].name == "RAM to VRAM");
  CHECK(timeline.links[0].bytes == std::vector<double>{300, 0, 0, 0});
  CHECK(timeline.links[1].name == "disk to RAM");
  const double expected[] = {1000, 400.0 / 3, 400.0 / 3, 400.0 / 3};
  for (size_t i = 0; i < 4; ++i) CHECK(timeline.links[1].bytes[i] == doctest::Approx(expected[i]));
}

TEST_CASE("link timeline: stretches of a run follow each other") {
  const RunStretch stretches[] = {{1, 10'000'000, 1, 1, 500, 0}, {1, 30'000'000, 1, 1, 900, 0}};
  const LinkTimeline timeline = timeline_of(stretches, 4);
  CHECK(timeline.bucket_ms == doctest::Approx(10));
  REQUIRE(timeline.links.size() == 1);
  CHECK(timeline.links[0].bytes[0] == doctest::Approx(500));
  for (size_t i = 1; i < 4; ++i) CHECK(timeline.links[0].bytes[i] == doctest::Approx(300));
}

TEST_CASE("link timeline: nothing carried is no panel, and no time is not a division by it") {
  CHECK(timeline_of(std::span<const LinkEvent>()).links.empty());
  const RunStretch idle[] = {{1, 10, 1, 1, 0, 0}};
  CHECK(timeline_of(idle).links.empty());
  const LinkEvent at_once[] = {{EventLink::kHostToDevice, {0, 0}, 100, 7, 0}, {EventLink::kHostToDevice, {0, 0}, 100, 7, 0}};
  const LinkTimeline timeline = timeline_of(at_once, 4);
  REQUIRE(timeline.links.size() == 1);
  CHECK(std::accumulate(timeline.links[0].bytes.begin(), timeline.links[0].bytes.end(), 0.0) == doctest::Approx(200));
}
