#include "platform/io_queue.h"

namespace hotset {

Result<std::unique_ptr<IoQueue>> IoQueue::create(const IoQueueOptions&) { return error(Code::kUnsupported, "reading ahead is not in this build"); }

}  // namespace hotset
