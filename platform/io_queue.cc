#include "platform/io_queue.h"

#include <cstring>

#include "platform/io_threads.h"
#include "platform/io_uring.h"
#include "platform/log.h"

namespace hotset {

Result<std::unique_ptr<IoQueue>> IoQueue::create(const IoQueueOptions& options) {
  if (options.depth == 0 || options.depth > kMaxIoDepth) {
    return error(Code::kInvalidArgument, "%u reads under way at once cannot be had: 1 to %u can", options.depth, kMaxIoDepth);
  }
  if (options.kind == IoQueueKind::kThreads) return make_io_threads(options.depth);
  auto uring = make_io_uring(options.depth);
  if (uring.ok() || options.kind == IoQueueKind::kUring) return uring;
  log_line(LogLevel::kInfo, "files are read by threads: %s", uring.status().message().c_str());
  return make_io_threads(options.depth);
}

Status read_error(const File& file, uint64_t offset_bytes, int error_number) {
  return error(Code::kIo, "cannot read '%s' at byte %llu: %s", file.path().c_str(), static_cast<unsigned long long>(offset_bytes),
               std::strerror(error_number));
}

}  // namespace hotset
