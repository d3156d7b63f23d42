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
  RopeTable(spec, 4096).fill(first_position, tokens, table);
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
    check_against_formula({.dim = 128, .base = 1e6f}, first, 10);
    check_against_formula({.dim = 64}, first, 3);
    check_against_formula({.dim = 6, .linear_factor = 4}, first, 5);
    check_against_formula({.dim = 2, .base = 500000, .linear_factor = 0.5f}, first, 1);
  }
}

TEST_CASE("rope: rows depend on their position alone, and the first turns nothing") {
  const RopeSpec spec = {.dim = 32};
  const RopeTable table(spec, 4096);
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

// The cosine and sine of pair `pair` at `position`.
static std::pair<float, float> turn(const RopeSpec& spec, uint32_t context_tokens, uint32_t position, uint32_t pair) {
  std::vector<float> row(spec.dim);
  RopeTable(spec, context_tokens).fill(position, 1, row);
  return {row[2 * pair], row[2 * pair + 1]};
}

TEST_CASE("rope: YaRN keeps the angle of pairs that turn often and divides that of those that seldom do") {
  RopeSpec yarn = {.dim = 64, .base = 10000, .linear_factor = 8, .yarn = 1, .original_context = 4096};
  const RopeSpec plain = {.dim = 64, .base = 10000};
  const RopeSpec divided = {.dim = 64, .base = 10000, .linear_factor = 8};
  CHECK(turn(yarn, 4096, 100, 0) == turn(plain, 4096, 100, 0));
  CHECK(turn(yarn, 4096, 100, 31) == turn(divided, 4096, 100, 31));
  // Between them the angle lies between the two.
  const double between = std::atan2(turn(yarn, 4096, 1, 15).second, turn(yarn, 4096, 1, 15).first);
  CHECK(between < std::atan2(turn(plain, 4096, 1, 15).second, turn(plain, 4096, 1, 15).first));
  CHECK(between > std::atan2(turn(divided, 4096, 1, 15).second, turn(divided, 4096, 1, 15).first));
  yarn.magnitude = 1.5f;
  const auto [c, s] = turn(yarn, 4096, 7, 3);
  CHECK(std::hypot(c, s) == doctest::Approx(1.5));
}

TEST_CASE("rope: long factors are taken where the context is longer than the original one") {
  const RopeSpec spec = {.dim = 4, .original_context = 100, .factors = {1, 2}, .long_factors = {4, 8}};
  CHECK(turn(spec, 100, 1, 0).second == doctest::Approx(std::sin(1.0)));
  CHECK(turn(spec, 101, 1, 0).second == doctest::Approx(std::sin(0.25)));
  CHECK(turn(spec, 100, 1, 1).second == doctest::Approx(std::sin(0.01 / 2)));
  CHECK(turn(spec, 101, 1, 1).second == doctest::Approx(std::sin(0.01 / 8)));
}

TEST_CASE("rope: the temperature of positions grows by steps") {
  const PositionScale scale = {0.1f, 8192, 1};
  CHECK(scale.at(0) == 1);
  CHECK(scale.at(8190) == 1);
  CHECK(scale.at(8191) == doctest::Approx(1 + 0.1 * std::log(2.0)));
  CHECK(scale.at(3 * 8192) == doctest::Approx(1 + 0.1 * std::log(4.0)));
}
