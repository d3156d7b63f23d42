#include "platform/io_uring.h"

#ifdef HOTSET_HAS_LIBURING

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace hotset {
namespace {

constexpr uint32_t kMostRefusals = 10'000;  // of a submit in a row, a millisecond apart: the kernel is out of memory
constexpr long kRefusalPauseNs = 1'000'000;

// Buffers are not registered: that would pin the whole tier in memory, against the budget's giving back, and reads of the size of an
// expert gain nothing measurable by it. The ring is not bound to the thread that made it, for a tier may move to another.
class IoUring final : public IoQueue {
 public:
  explicit IoUring(uint32_t depth) : depth_(depth), reads_(depth) {
    for (uint32_t i = depth; i-- > 0;) free_.push_back(i);
  }
  ~IoUring() override;
  Status start();

  const char* name() const override { return "io_uring"; }
  uint32_t depth() const override { return depth_; }
  uint32_t under_way() const override { return depth_ - static_cast<uint32_t>(free_.size()); }
  void submit(const IoRead& read) override;
  void flush() override { ::io_uring_submit(&ring_); }  // what the kernel does not take now goes with the next call
  uint32_t poll(std::span<IoDone> out) override;
  Result<uint32_t> wait(std::span<IoDone> out) override;

 private:
  void prepare(uint32_t ticket, bool may_block);
  bool finish(const io_uring_cqe& entry, IoDone& done);
  uint32_t reap(std::span<IoDone> out);

  const uint32_t depth_;
  io_uring ring_ = {};
  bool open_ = false;
  std::vector<IoRead> reads_;    // [depth], by ticket
  std::vector<uint32_t> free_;   // tickets of no read
};

Status IoUring::start() {
  const int made = ::io_uring_queue_init(depth_, &ring_, 0);
  if (made < 0) return error(Code::kUnsupported, "io_uring was refused: %s", std::strerror(-made));
  open_ = true;
  io_uring_probe* probe = ::io_uring_get_probe_ring(&ring_);
  const bool reads = probe && ::io_uring_opcode_supported(probe, IORING_OP_READ);
  if (probe) ::io_uring_free_probe(probe);
  return reads ? ok_status() : error(Code::kUnsupported, "this kernel's io_uring does not read");
}

IoUring::~IoUring() {
  std::vector<IoDone> last(depth_);
  while (under_way() > 0) {
    if (!wait(last).ok()) break;
  }
  if (open_) ::io_uring_queue_exit(&ring_);
}

void IoUring::prepare(uint32_t ticket, bool may_block) {
  const IoRead& read = reads_[ticket];
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  HOTSET_CHECK(entry);  // as many entries as reads
  const auto size_bytes = static_cast<unsigned>(std::min<uint64_t>(read.out.size(), kMaxReadBytes));
  ::io_uring_prep_read(entry, static_cast<int>(read.file->handle(!read.direct)), read.out.data(), size_bytes, read.offset_bytes);
  if (may_block) entry->flags |= IOSQE_ASYNC;
  entry->user_data = ticket;
}

void IoUring::submit(const IoRead& read) {
  HOTSET_CHECK(!free_.empty());
  const uint32_t ticket = free_.back();
  free_.pop_back();
  reads_[ticket] = read;
  prepare(ticket, false);
}

// Whether the read has ended; one that was only interrupted begins anew.
bool IoUring::finish(const io_uring_cqe& entry, IoDone& done) {
  const auto ticket = static_cast<uint32_t>(entry.user_data);
  if (entry.res == -EAGAIN || entry.res == -EINTR) {
    prepare(ticket, true);
    return false;
  }
  done = {reads_[ticket].tag, static_cast<uint64_t>(std::max(entry.res, 0)), std::max(-entry.res, 0)};
  free_.push_back(ticket);
  return true;
}

uint32_t IoUring::reap(std::span<IoDone> out) {
  uint32_t count = 0;
  io_uring_cqe* entry = nullptr;
  while (count < out.size() && ::io_uring_peek_cqe(&ring_, &entry) == 0) {
    const io_uring_cqe ended = *entry;
    ::io_uring_cqe_seen(&ring_, entry);
    if (finish(ended, out[count])) ++count;
  }
  return count;
}

uint32_t IoUring::poll(std::span<IoDone> out) {
  flush();
  const uint32_t count = reap(out);
  flush();  // those that began anew
  return count;
}

Result<uint32_t> IoUring::wait(std::span<IoDone> out) {
  HOTSET_CHECK(under_way() > 0 && !out.empty());
  uint32_t refusals = 0;
  for (;;) {
    const int rc = ::io_uring_submit_and_wait(&ring_, 1);
    const uint32_t count = reap(out);
    if (count > 0) return count;
    if (rc >= 0 || rc == -EINTR) continue;
    if ((rc != -EAGAIN && rc != -EBUSY) || ++refusals == kMostRefusals) return error(Code::kIo, "io_uring gives no results: %s", std::strerror(-rc));
    const timespec pause = {0, kRefusalPauseNs};
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace

Result<std::unique_ptr<IoQueue>> make_io_uring(uint32_t depth) {
  auto queue = std::make_unique<IoUring>(depth);
  HOTSET_RETURN_IF_ERROR(queue->start());
  return std::unique_ptr<IoQueue>(std::move(queue));
}

}  // namespace hotset

#else

namespace hotset {

Result<std::unique_ptr<IoQueue>> make_io_uring(uint32_t) { return error(Code::kUnsupported, "this build has no io_uring"); }

}  // namespace hotset

#endif
