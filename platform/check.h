// HOTSET_CHECK: stops the program on a bug of ours. Never for bad input, files, devices or arguments:
// those are a Status.
#pragma once

namespace hotset {

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace hotset

#define HOTSET_CHECK(condition)                                              \
  do {                                                                       \
    if (!(condition)) ::hotset::check_failed(#condition, __FILE__, __LINE__); \
  } while (0)
