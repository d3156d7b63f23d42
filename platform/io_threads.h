// An IoQueue of threads that read: for systems without io_uring, Windows among them. There a completion port would keep more reads under
// way than there are threads; disks are busy long before 64.
#pragma once

#include <cstdint>
#include <memory>

#include "platform/io_queue.h"

namespace hotset {

// Error: the system gives not a single thread.
Result<std::unique_ptr<IoQueue>> make_io_threads(uint32_t depth);

}  // namespace hotset
