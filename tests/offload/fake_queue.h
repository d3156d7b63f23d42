// An IoQueue that reads at once but lets its results come when and how a test wants: late, out of order, short, failed.
#pragma once

#include <algorithm>
#include <cerrno>
#include <functional>
#include <random>
#include <vector>

#include "platform/check.h"
#include "platform/io_queue.h"

namespace hotset::test {

// What a test does to a queue while a tier owns it.
struct QueueScript {
  std::mt19937 random{1};
  bool shuffled = false;    // results come in any order, else in that of the submits
  double short_share = 0;   // of reads that end early
  double failed_share = 0;  // of reads that fail with EIO
  bool stuck = false;       // poll() sees no results
  bool refuses_direct = false;
  std::function<int(const IoRead&)> error_of;  // errno for a read; 0: none
  // What the queue saw.
  std::vector<IoRead> submitted;
  uint32_t most_under_way = 0;
  uint32_t waits = 0;
};

class FakeQueue final : public IoQueue {
 public:
  FakeQueue(uint32_t depth, QueueScript& script) : depth_(depth), script_(script) {}

  const char* name() const override { return "fake"; }
  uint32_t depth() const override { return depth_; }
  uint32_t under_way() const override { return static_cast<uint32_t>(reads_.size()); }
  void submit(const IoRead& read) override {
    HOTSET_CHECK(reads_.size() < depth_);
    reads_.push_back(read);
    script_.submitted.push_back(read);
    script_.most_under_way = std::max(script_.most_under_way, under_way());
  }
  void flush() override {}
  uint32_t poll(std::span<IoDone> out) override { return script_.stuck ? 0 : take(out); }
  Result<uint32_t> wait(std::span<IoDone> out) override {
    HOTSET_CHECK(!reads_.empty());
    ++script_.waits;
    return take(out.first(1));
  }

 private:
  bool chance(double share) { return std::uniform_real_distribution<>(0, 1)(script_.random) < share; }

  uint32_t take(std::span<IoDone> out) {
    uint32_t count = 0;
    while (count < out.size() && !reads_.empty()) {
      const size_t at = script_.shuffled ? script_.random() % reads_.size() : 0;
      out[count++] = run(reads_[at]);
      reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return count;
  }

  IoDone run(const IoRead& read) {
    if (read.direct && script_.refuses_direct) return {read.tag, 0, EINVAL};
    const int error = script_.error_of ? script_.error_of(read) : 0;
    if (error != 0 || chance(script_.failed_share)) return {read.tag, 0, error != 0 ? error : EIO};
    const uint64_t size_bytes = read.file->size_bytes();
    uint64_t length = read.offset_bytes < size_bytes ? std::min<uint64_t>(read.out.size(), size_bytes - read.offset_bytes) : 0;
    if (length > 1 && chance(script_.short_share)) length = 1 + script_.random() % (length - 1);
    if (!read.file->read(read.offset_bytes, read.out.first(length)).ok()) return {read.tag, 0, 0};
    return {read.tag, length, 0};
  }

  const uint32_t depth_;
  QueueScript& script_;
  std::vector<IoRead> reads_;
};

}  // namespace hotset::test
