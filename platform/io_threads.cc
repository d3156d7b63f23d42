#include "platform/io_threads.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <exception>
#include <thread>
#include <vector>

namespace hotset {
namespace {

// Each thread keeps one read under way; more than a disk takes at once only wait in the kernel instead of here.
constexpr uint32_t kMostThreads = 64;

// First in, first out, at most as many as it was made for.
template <class T>
class Ring {
 public:
  explicit Ring(uint32_t capacity) : items_(capacity) {}
  uint32_t size() const { return size_; }
  void push(const T& item) { items_[(first_ + size_++) % items_.size()] = item; }
  T pop() {
    const T item = items_[first_];
    first_ = (first_ + 1) % items_.size();
    --size_;
    return item;
  }

 private:
  std::vector<T> items_;
  size_t first_ = 0;
  uint32_t size_ = 0;
};

IoDone run(const IoRead& read) {
  const auto out = read.out.first(std::min<uint64_t>(read.out.size(), kMaxReadBytes));
  const os::MovedBytes got = os::read_at(read.file->handle(!read.direct), read.offset_bytes, out);
  return {read.tag, got.size_bytes, got.error};
}

class IoThreads final : public IoQueue {
 public:
  explicit IoThreads(uint32_t depth) : depth_(depth), waiting_(depth), done_(depth) {}
  ~IoThreads() override;
  Status start();

  const char* name() const override { return "threads"; }
  uint32_t depth() const override { return depth_; }
  uint32_t under_way() const override { return under_way_; }
  void submit(const IoRead& read) override;
  void flush() override {}
  uint32_t poll(std::span<IoDone> out) override;
  Result<uint32_t> wait(std::span<IoDone> out) override;

 private:
  void work();
  uint32_t take_done(std::span<IoDone> out);

  const uint32_t depth_;
  uint32_t under_way_ = 0;  // the owner's

  std::mutex lock_;
  std::condition_variable more_work_;
  std::condition_variable more_done_;
  Ring<IoRead> waiting_;  // guarded by lock_, like all below
  Ring<IoDone> done_;
  bool ending_ = false;
  std::vector<std::thread> threads_;  // the owner's
};

Status IoThreads::start() {
  threads_.reserve(std::min(depth_, kMostThreads));
  for (uint32_t i = 0; i < std::min(depth_, kMostThreads); ++i) {
    // A system that gives no more threads only makes this slower.
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::exception& e) {
      if (i == 0) return error(Code::kUnsupported, "the system gives no thread to read with: %s", e.what());
      break;
    }
  }
  return ok_status();
}

IoThreads::~IoThreads() {
  {
    std::lock_guard guard(lock_);
    ending_ = true;  // what is waiting is still read: its memory's owner was promised no less
  }
  more_work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void IoThreads::work() {
  std::unique_lock guard(lock_);
  for (;;) {
    more_work_.wait(guard, [this] { return ending_ || waiting_.size() > 0; });
    if (waiting_.size() == 0) return;
    const IoRead read = waiting_.pop();
    guard.unlock();
    const IoDone done = run(read);
    guard.lock();
    done_.push(done);
    more_done_.notify_one();
  }
}

void IoThreads::submit(const IoRead& read) {
  HOTSET_CHECK(under_way_ < depth_);
  ++under_way_;
  {
    std::lock_guard guard(lock_);
    waiting_.push(read);
  }
  more_work_.notify_one();
}

uint32_t IoThreads::take_done(std::span<IoDone> out) {
  uint32_t count = 0;
  while (count < out.size() && done_.size() > 0) out[count++] = done_.pop();
  under_way_ -= count;
  return count;
}

uint32_t IoThreads::poll(std::span<IoDone> out) {
  std::lock_guard guard(lock_);
  return take_done(out);
}

Result<uint32_t> IoThreads::wait(std::span<IoDone> out) {
  HOTSET_CHECK(under_way_ > 0 && !out.empty());
  std::unique_lock guard(lock_);
  more_done_.wait(guard, [this] { return done_.size() > 0; });
  return take_done(out);
}

}  // namespace

Result<std::unique_ptr<IoQueue>> make_io_threads(uint32_t depth) {
  auto queue = std::make_unique<IoThreads>(depth);
  HOTSET_RETURN_IF_ERROR(queue->start());
  return std::unique_ptr<IoQueue>(std::move(queue));
}

}  // namespace hotset
