// Which backend runs a model: a Vulkan device or the CPU.
#pragma once

#include <memory>

#include "runtime/compute/backend.h"
#include "runtime/engine/engine.h"

namespace hotset {

// The caller's device where one is given. "cpu": the CPU. "vulkan": the Vulkan device that suits best. "auto": the same where it is a GPU or a VRAM budget was asked for; else
// the CPU or the software device, whichever multiplies faster. Others: that Vulkan device. Errors: no such device, or one that lacks what is needed.
Result<std::unique_ptr<Backend>> open_backend(const EngineOptions& options);

}  // namespace hotset
