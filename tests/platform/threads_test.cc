#include "platform/threads.h"

#include <doctest/doctest.h>

#include <atomic>
#include <vector>

using namespace hotset;

TEST_CASE("parallel work: every index once, whatever the number of threads") {
  for (const uint32_t threads : {1u, 2u, 7u, 64u}) {
    CAPTURE(threads);
    std::vector<std::atomic<int>> seen(33);
    CHECK(parallel_for(threads, 33, [&](uint32_t i) {
            ++seen[i];
            return ok_status();
          }).ok());
    for (const auto& count : seen) CHECK(count == 1);
  }
  CHECK(parallel_for(4, 0, [](uint32_t) { return error(Code::kIo, "not called"); }).ok());
}

TEST_CASE("parallel work: an error comes back and stops what has not begun") {
  std::atomic<int> calls{0};
  const Status status = parallel_for(2, 100000, [&](uint32_t i) {
    ++calls;
    return i == 3 ? error(Code::kIo, "made to fail") : ok_status();
  });
  CHECK(status.code() == Code::kIo);
  CHECK(calls < 100000);
}
