#include "platform/check.h"

#include <cstdio>
#include <cstdlib>

namespace hotset {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "hotset: bug: %s is false at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace hotset
