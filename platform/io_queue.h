// IoQueue: reads of files that run beside the caller, many at a time.
//
// A queue is made with a depth: as many reads are under way at most. Reads end in any order. What is read lands in the caller's
// memory, which must stay until the read has been reaped; the destructor waits for what is under way. One owner thread
// makes all calls; nothing is allocated after creation.
//
// Two implementations behave alike: io_uring where the system allows it, else threads that read. Tests have a third that fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "platform/file.h"
#include "platform/status.h"

namespace hotset {

struct IoRead {
  const File* file = nullptr;
  bool direct = false;  // past the page cache: offset, length and address on the file's alignment
  uint64_t offset_bytes = 0;
  std::span<std::byte> out;
  uint64_t tag = 0;  // given back with the result
};

struct IoDone {
  uint64_t tag = 0;
  uint64_t size_bytes = 0;  // read; fewer than asked for at the end of the file, and now and then elsewhere: ask again from there
  int error = 0;            // errno of a read that failed; 0: none
};

enum class IoQueueKind { kAuto, kUring, kThreads };

struct IoQueueOptions {
  uint32_t depth = 64;  // 1 to kMaxIoDepth
  IoQueueKind kind = IoQueueKind::kAuto;
};

inline constexpr uint32_t kMaxIoDepth = 4096;

// Of a read longer than this only the beginning is read: what the system takes at once is limited.
inline constexpr uint64_t kMaxReadBytes = 1u << 30;

class IoQueue {
 public:
  // kAuto: io_uring, else threads with one line in the log. Errors: a depth out of range; kUnsupported when the kind asked for
  // cannot be had here.
  static Result<std::unique_ptr<IoQueue>> create(const IoQueueOptions& options);
  virtual ~IoQueue() = default;

  virtual const char* name() const = 0;
  virtual uint32_t depth() const = 0;
  // Submitted and not reaped yet.
  virtual uint32_t under_way() const = 0;

  // Takes a read in; under_way() < depth(). It begins with the next flush(), poll() or wait() at the latest.
  virtual void submit(const IoRead& read) = 0;
  virtual void flush() = 0;

  // Fills `out` with reads that have ended and returns how many, without waiting.
  virtual uint32_t poll(std::span<IoDone> out) = 0;
  // The same, waiting for at least one; under_way() > 0 and out is not empty. Error: the system gives no more results.
  virtual Result<uint32_t> wait(std::span<IoDone> out) = 0;
};

// What a failed read means: "cannot read 'path' at byte N: Input/output error".
Status read_error(const File& file, uint64_t offset_bytes, int error_number);

}  // namespace hotset
