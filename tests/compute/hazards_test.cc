#include "runtime/compute/hazards.h"

#include <doctest/doctest.h>

using namespace hotset;

TEST_CASE("a barrier is asked for exactly where memory is handed on") {
  const Tensor a{100, 50}, b{200, 50}, inside_a{120, 4}, behind_a{150, 50};
  Hazards hazards;
  CHECK_FALSE(hazards.note({a}, {b}));        // first use
  CHECK_FALSE(hazards.note({a}, {behind_a})); // reading together, writing elsewhere
  CHECK(hazards.note({b}, {}));               // read after write
  CHECK_FALSE(hazards.note({b}, {}));         // read after read
  CHECK(hazards.note({}, {b}));               // write after read
  CHECK(hazards.note({}, {b}));               // write after write
  CHECK_FALSE(hazards.note({}, {inside_a}));
  CHECK(hazards.note({a}, {}));  // overlap, not equality, decides
}

TEST_CASE("more operations than are remembered still end in a barrier") {
  Hazards hazards;
  int barriers = 0;
  for (uint64_t i = 0; i < 100; ++i) barriers += hazards.note({}, {Tensor{i * 16, 16}});
  CHECK(barriers > 0);
}
