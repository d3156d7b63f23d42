// An IoQueue on Linux's io_uring: one system call begins many reads, and none is needed to see that they ended.
#pragma once

#include <cstdint>
#include <memory>

#include "platform/io_queue.h"

namespace hotset {

// Error (kUnsupported): built without liburing, or the kernel or a sandbox refuses it.
Result<std::unique_ptr<IoQueue>> make_io_uring(uint32_t depth);

}  // namespace hotset
