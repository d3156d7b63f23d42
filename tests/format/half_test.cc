#include "runtime/format/half.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace hotset;

TEST_CASE("half: every pattern survives the way to float and back") {
  int wrong = 0;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = half_to_float(half);
    if (std::isnan(value)) wrong += !std::isnan(half_to_float(float_to_half(value)));
    else wrong += float_to_half(value) != half;
    const float wide = bfloat16_to_float(half);
    if (std::isnan(wide)) wrong += !std::isnan(bfloat16_to_float(float_to_bfloat16(wide)));
    else wrong += float_to_bfloat16(wide) != half;
  }
  CHECK(wrong == 0);
}

TEST_CASE("half: values and rounding to even at every place where it matters") {
  CHECK(half_to_float(0x3c00) == 1.0f);
  CHECK(half_to_float(0xc000) == -2.0f);
  CHECK(half_to_float(0x7bff) == 65504.0f);
  CHECK(half_to_float(0x0001) == 0x1p-24f);
  CHECK(half_to_float(0x0400) == 0x1p-14f);
  const struct {
    float value;
    uint16_t half;
  } cases[] = {
      {65519.996f, 0x7bff}, {65520.0f, 0x7c00},        {-65520.0f, 0xfc00},  {1.0f + 0x1p-11f, 0x3c00},
      {1.0f + 0x3p-11f, 0x3c02}, {0x1p-25f, 0x0000},   {0x1.000002p-25f, 0x0001}, {0x3p-25f, 0x0002},
      {0x1.ffep-15f, 0x0400},  {-0.0f, 0x8000},        {1e-30f, 0x0000},     {2049.0f, 0x6800},
      {std::numeric_limits<float>::infinity(), 0x7c00}};
  for (const auto& item : cases) CHECK_MESSAGE(float_to_half(item.value) == item.half, item.value);
}

TEST_CASE("bfloat16: ties go to even and a NaN stays a NaN") {
  CHECK(float_to_bfloat16(1.0f) == 0x3f80);
  CHECK(float_to_bfloat16(std::bit_cast<float>(0x3f808000u)) == 0x3f80);
  CHECK(float_to_bfloat16(std::bit_cast<float>(0x3f818000u)) == 0x3f82);
  CHECK(float_to_bfloat16(std::bit_cast<float>(0x3f808001u)) == 0x3f81);
  CHECK(float_to_bfloat16(std::numeric_limits<float>::max()) == 0x7f80);
  CHECK(std::isnan(bfloat16_to_float(float_to_bfloat16(std::bit_cast<float>(0x7f800001u)))));
}
