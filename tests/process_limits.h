// Limits of this process that tests lower, and whether it is one that sanitizers watch.
#pragma once

#include <doctest/doctest.h>
#ifndef _WIN32
#include <sys/resource.h>
#endif

#include <algorithm>
#include <csignal>
#include <cstdint>

namespace hotset::test {

#ifndef _WIN32

// A soft limit of this process, for as long as it lives.
class Limit {
 public:
  Limit(__rlimit_resource_t resource, uint64_t most) : resource_(resource) {
    REQUIRE(::getrlimit(resource_, &before_) == 0);
    rlimit limit = before_;
    limit.rlim_cur = std::min<rlim_t>(most, before_.rlim_max);
    REQUIRE(::setrlimit(resource_, &limit) == 0);
  }
  ~Limit() { ::setrlimit(resource_, &before_); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

 private:
  const __rlimit_resource_t resource_;
  rlimit before_ = {};
};

// A disk on which no file may pass a size. The system's signal for that is not for a program that checks its writes.
class FullDisk {
 public:
  explicit FullDisk(uint64_t most_bytes) : signal_(std::signal(SIGXFSZ, SIG_IGN)), limit_(RLIMIT_FSIZE, most_bytes) {}
  ~FullDisk() { std::signal(SIGXFSZ, signal_); }

 private:
  void (*const signal_)(int);
  const Limit limit_;
};

#endif

constexpr bool sanitized() {
#ifdef HOTSET_SANITIZED
  return true;
#else
  return false;
#endif
}

}  // namespace hotset::test
