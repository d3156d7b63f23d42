// Work spread over host threads that live only as long as the call.
#pragma once

#include <cstdint>
#include <functional>

#include "platform/status.h"

namespace hotset {

// Calls work(i) for every i in [0, count) on up to `threads` threads, the calling one among them, and waits for all. After
// an error no new i is begun; returns one of the errors. `work` is called from several threads at once.
Status parallel_for(uint32_t threads, uint32_t count, const std::function<Status(uint32_t index)>& work);

// Threads to use when the caller leaves it to us (0): one per core, at least 1.
uint32_t resolve_threads(uint32_t wanted);

}  // namespace hotset
