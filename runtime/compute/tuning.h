// Every tunable of the GPU kernels, with its reason. Pure functions of a device's limits and a matrix's shape.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "platform/vulkan/device.h"
#include "runtime/format/quant.h"

namespace hotset::tuning {

// Invocations of a workgroup for elementwise work: a few subgroups, so that a small tensor still fills several cores.
inline uint32_t elementwise_workgroup(const DeviceLimits& limits) {
  return limits.software ? limits.subgroup_size : std::max(64u, limits.subgroup_size);
}

}  // namespace hotset::tuning
