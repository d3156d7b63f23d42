// CallerDevice: a Vulkan device that the program around Hotset made and keeps. Plain data of the caller's, checked before it is used.
#pragma once

#include <span>

#include "platform/status.h"
#include "platform/vulkan/functions.h"

namespace hotset {

// Extensions that Hotset uses where they are enabled. It requires none.
std::span<const char* const> usable_extensions();

// What is called round every use of a queue of the caller's; both or neither. It may be called from any thread that calls Hotset, or that
// Hotset runs.
struct QueueGuard {
  void (*lock)(void* user, VkQueue queue) = nullptr;
  void (*unlock)(void* user, VkQueue queue) = nullptr;
  void* user = nullptr;
};

struct CallerQueue {
  uint32_t family = 0;
  VkQueue queue = VK_NULL_HANDLE;
};

struct CallerDevice {
  PFN_vkGetInstanceProcAddr get_instance_proc_addr = nullptr;
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  const VkDeviceCreateInfo* created_with = nullptr;  // read while it is opened only
  CallerQueue compute;
  CallerQueue transfer;                              // no queue: copies take the compute queue
  const VkAllocationCallbacks* allocator = nullptr;  // copied; nullptr: the driver's own
  QueueGuard guard;

  bool enables(const char* extension) const;
};

// Three steps of finding out whether Hotset can run on it. Each error is one line: kInvalidArgument, kUnsupported.
// Nothing that has to be there is NULL.
Status check_caller_handles(const CallerDevice& caller);
// The physical device is one of the instance's `devices` and can do what is needed; the device was made with the features and the queue
// families.
Status check_caller_device(const CallerDevice& caller, std::span<const PhysicalDevice> devices);
// The queues are the device's.
Status check_caller_queues(const CallerDevice& caller, const DeviceFunctions& fn);

}  // namespace hotset
