// How a refused file must be told: the right code, and one line with its path.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "platform/status.h"

namespace hotset::test {

inline void check_refused(const Status& status, Code code, const std::string& path, const char* says) {
  CAPTURE(status.message());
  REQUIRE_FALSE(status.ok());
  CHECK(status.code() == code);
  CHECK(status.message().find("'" + path + "'") != std::string::npos);
  CHECK(status.message().find(says) != std::string::npos);
  CHECK(status.message().find('\n') == std::string::npos);
}

}  // namespace hotset::test
