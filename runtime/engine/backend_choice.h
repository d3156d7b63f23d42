// Which backend runs a model: a Vulkan device or the CPU.
#pragma once

#include <memory>

#include "runtime/compute/backend.h"
#include "runtime/engine/engine.h"

namespace hotset {

// "cpu": the CPU. "vulkan": the Vulkan device that suits best. "auto": the same where it is a GPU or a VRAM budget was asked for; else
// the CPU or the software device, whichever multiplies faster. Others: that Vulkan device. Errors: no such device, or one that lacks what is needed.
Result<std::unique_ptr<Backend>> open_backend(const EngineOptions& options);

// Bytes of Q4_K weights a second that the backend multiplies with one activation, out of a matrix larger than most
// caches; the best of a few tries, some tens of milliseconds in all. Error: the device's.
Result<double> measure_matvec_bytes_per_s(Backend& backend);

// The same of the CPU with `threads` threads, for beside a GPU; 0 when it could not be measured.
double measure_cpu_bytes_per_s(uint32_t threads);

}  // namespace hotset
