#include "runtime/model/rope.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace hotset;

namespace {

// cos and sin of position * base^(-2i/dim) / factor, in the host's longest floats.
void check_against_formula(const RopeSpec& spec, uint32_t first_position, uint32_t tokens) {
  CAPTURE(spec.dim);
  CAPTURE(first_position);
  std::vector<float> table(RopeTable::bytes(spec, tokens) / sizeof(float));
  RopeTable(spec).fill(first_position, tokens, table);
  double worst = 0;
  for (uint32_t t = 0; t < tokens; ++t) {
    for (uint32_t i = 0; i < spec.dim / 2; ++i) {
      const long double frequency = std::pow(static_cast<long double>(spec.base), -2.0L * i / spec.dim) / static_cast<long double>(spec.linear_factor);
      const long double angle = (static_cast<long double>(first_position) + t) * frequency;
      const float* pair = &table[size_t{t} * spec.dim + 2 * i];
      worst = std::max(worst, static_cast<double>(std::fabs(static_cast<long double>(pair[0]) - std::cos(angle))));
      worst = std::max(worst, static_cast<double>(std::fabs(static_cast<long double>(pair[1]) - std::sin(angle))));
    }
  }
  CHECK(worst < 6e-8);  // half a unit in the last place of a float near 1, and a little
}

}  // namespace

TEST_CASE("rope: the table follows the formula up to position a million") {
  for (const uint32_t first : {0u, 1u, 4095u, 65536u, 999'990u, 1'000'000u}) {
    check_against_formula({128, 1e6f, 1}, first, 10);
    check_against_formula({64, 10000, 1}, first, 3);
    check_against_formula({6, 10000, 4}, first, 5);
    check_against_formula({2, 500000, 0.5f}, first, 1);
  }
}

TEST_CASE("rope: rows depend on their position alone, and the first turns nothing") {
  const RopeSpec spec = {32, 10000, 1};
  const RopeTable table(spec);
  std::vector<float> together(RopeTable::bytes(spec, 17) / sizeof(float));
  table.fill(0, 17, together);
  for (uint32_t i = 0; i < spec.dim; i += 2) {
    CHECK(together[i] == 1);
    CHECK(together[i + 1] == 0);
  }
  for (uint32_t t = 0; t < 17; ++t) {
    std::vector<float> alone(spec.dim);
    table.fill(t, 1, alone);
    CHECK(std::equal(alone.begin(), alone.end(), together.begin() + t * spec.dim));
  }
}
