// What goes into one submit, by what parts took.
#include <doctest/doctest.h>

#include <vector>

#include "runtime/compute/slicer.h"

using hotset::Slicer;

namespace {

struct Part {
  uint64_t measured_ns;
  uint32_t dispatches;
};

size_t joined(const Slicer& slicer, const std::vector<Part>& parts) {
  uint64_t submit_ns = 0;
  size_t count = 0;
  while (count < parts.size() && slicer.joins(submit_ns, parts[count].measured_ns, parts[count].dispatches)) ++count;
  return count;
}

}  // namespace

TEST_CASE("slicer: parts join while what they took fits the slice, and one that is too long goes alone") {
  const Slicer slicer(1000);
  CHECK(joined(slicer, {{400, 1}, {600, 1}, {1, 1}}) == 2);
  CHECK(joined(slicer, {{400, 1}, {601, 1}}) == 1);
  CHECK(joined(slicer, {{5000, 1}, {1, 1}}) == 1);
  CHECK(joined(slicer, {{1, 1}, {5000, 1}}) == 1);
}

TEST_CASE("slicer: parts that were never measured go alone at first, then by what dispatches take") {
  Slicer slicer(1000);
  CHECK(joined(slicer, {{0, 4}, {0, 4}}) == 1);
  slicer.note(400, 4);
  CHECK(joined(slicer, {{0, 4}, {0, 4}, {0, 2}, {0, 1}}) == 3);
  slicer.note(1000, 1);  // a slower one counts at once
  CHECK(joined(slicer, {{0, 1}, {0, 1}}) == 1);
  for (int i = 0; i < 100; ++i) slicer.note(400, 4);  // and is forgotten slowly
  CHECK(joined(slicer, {{0, 4}, {0, 4}}) == 2);
  slicer.note(0, 4);  // not known
  CHECK(joined(slicer, {{0, 4}, {0, 4}}) == 2);
}

TEST_CASE("slicer: parts that are too long are made of fewer dispatches") {
  Slicer slicer(1000);
  CHECK_FALSE(slicer.ends_part(3));
  CHECK(slicer.ends_part(4));
  slicer.note(900, 4);
  CHECK_FALSE(slicer.ends_part(3));
  slicer.note(1001, 4);
  CHECK(slicer.ends_part(2));
  for (int i = 0; i < 5; ++i) slicer.note(9000, 1);
  CHECK(slicer.ends_part(1));
  CHECK_FALSE(slicer.ends_part(0));
  CHECK_FALSE(Slicer(0).ends_part(1000));
}
