#include "platform/bytes.h"

#include <doctest/doctest.h>

using namespace hotset;

TEST_CASE("byte sizes are read as people write them") {
  struct Row {
    const char* text;
    uint64_t bytes;
  };
  for (const Row& row : {Row{"512M", 512ull << 20}, Row{"6GiB", 6ull << 30}, Row{"6G", 6ull << 30}, Row{"1500000", 1500000},
                         Row{"1.5g", 3ull << 29}, Row{"2kB", 2000}, Row{"2 MB", 2000000}, Row{"0", 0}, Row{"17b", 17}}) {
    CAPTURE(row.text);
    const auto size = parse_byte_size(row.text);
    REQUIRE(size.ok());
    CHECK(size->resolve(123) == row.bytes);
  }
  const auto half = parse_byte_size("50%");
  REQUIRE(half.ok());
  CHECK(half->resolve(1000) == 500);
}

TEST_CASE("what is not a byte size is refused") {
  for (const char* text : {"", "x", "-1", "12Q", "101%", "1e300", "nan", "inf", "9999999999999G", "12MM", "%"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_byte_size(text).ok());
  }
}

TEST_CASE("size arithmetic reports overflow") {
  CHECK_FALSE(checked_multiply(1ull << 42, 1ull << 22).has_value());
  CHECK_FALSE(checked_add(~0ull, 1).has_value());
  CHECK_FALSE(checked_align_up(~0ull - 3, 32).has_value());
  CHECK(checked_align_up(33, 32) == 64);
}
