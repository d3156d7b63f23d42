#include "platform/threads.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <exception>
#include <thread>
#include <vector>

namespace hotset {

Status parallel_for(uint32_t threads, uint32_t count, const std::function<Status(uint32_t index)>& work) {
  std::atomic<uint32_t> next{0};
  std::mutex lock;
  Status first_error;  // guarded by lock
  const auto run = [&] {
    for (uint32_t i = next++; i < count; i = next++) {
      Status status = work(i);
      if (status.ok()) continue;
      next = count;
      std::lock_guard guard(lock);
      if (first_error.ok()) first_error = std::move(status);
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (uint32_t i = 1; i < std::min(threads, count); ++i) {
      // A system that gives no more threads only makes this slower.
      try {
        helpers.emplace_back(run);
      } catch (const std::exception&) {
        break;
      }
    }
    run();
  }
  return first_error;
}

uint32_t resolve_threads(uint32_t wanted) { return wanted != 0 ? wanted : std::max(1u, std::thread::hardware_concurrency()); }

}  // namespace hotset
