#include "platform/vulkan/caller_device.h"

#include <algorithm>
#include <cstring>

#include "platform/vulkan/features.h"
#include "platform/vulkan/queue.h"

namespace hotset {
namespace {

constexpr const char* kUsable[] = {VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME};

const VkDeviceQueueCreateInfo* find_queues(const CallerDevice& caller, uint32_t family) {
  const std::span made(caller.created_with->pQueueCreateInfos, caller.created_with->queueCreateInfoCount);
  const auto found = std::find_if(made.begin(), made.end(), [&](const auto& queues) { return queues.queueFamilyIndex == family; });
  return found == made.end() ? nullptr : &*found;
}

Status check_family(const CallerDevice& caller, const CallerQueue& queue, PhysicalDevice physical, VkQueueFlags does, const char* name) {
  const auto families = queue_families(physical);
  if (queue.family >= families.size()) return error(Code::kInvalidArgument, "the device has no queue family %u, of the %s queue", queue.family, name);
  if ((families[queue.family].queueFlags & does) == 0) {
    return error(Code::kInvalidArgument, "queues of family %u cannot be the %s queue: they do other work", queue.family, name);
  }
  if (find_queues(caller, queue.family) == nullptr) {
    return error(Code::kInvalidArgument, "the device was made without queues of family %u, of the %s queue", queue.family, name);
  }
  return ok_status();
}

Status check_queue(const CallerDevice& caller, const CallerQueue& given, const DeviceFunctions& fn, const char* name) {
  const VkDeviceQueueCreateInfo& made = *find_queues(caller, given.family);
  if (made.flags != 0) return ok_status();  // such queues have another way to be asked for
  for (uint32_t i = 0; i < made.queueCount; ++i) {
    VkQueue queue = VK_NULL_HANDLE;
    fn.vkGetDeviceQueue(caller.device, given.family, i, &queue);
    if (queue == given.queue) return ok_status();
  }
  return error(Code::kInvalidArgument, "the %s queue is none of the %u of family %u that the device was made with", name, made.queueCount, given.family);
}

}  // namespace

std::span<const char* const> usable_extensions() { return kUsable; }

bool CallerDevice::enables(const char* extension) const {
  const std::span names(created_with->ppEnabledExtensionNames, created_with->enabledExtensionCount);
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return std::strcmp(name, extension) == 0; });
}

Status check_caller_handles(const CallerDevice& caller) {
  const struct {
    bool given;
    const char* name;
  } handles[] = {{caller.get_instance_proc_addr != nullptr, "vkGetInstanceProcAddr"},
                 {caller.instance != VK_NULL_HANDLE, "VkInstance"},
                 {caller.physical != VK_NULL_HANDLE, "VkPhysicalDevice"},
                 {caller.device != VK_NULL_HANDLE, "VkDevice"},
                 {caller.compute.queue != VK_NULL_HANDLE, "compute queue"},
                 {caller.created_with != nullptr, "VkDeviceCreateInfo that the device was made with"}};
  for (const auto& handle : handles) {
    if (!handle.given) return error(Code::kInvalidArgument, "the %s of the caller's device is NULL", handle.name);
  }
  if (caller.created_with->sType != VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO) {
    return error(Code::kInvalidArgument, "what the device was made with is no VkDeviceCreateInfo: its sType is another");
  }
  if ((caller.guard.lock == nullptr) != (caller.guard.unlock == nullptr)) {
    return error(Code::kInvalidArgument, "there is a lock without unlock, or the reverse: give both or neither");
  }
  const VkAllocationCallbacks* allocator = caller.allocator;
  if (allocator && (!allocator->pfnAllocation || !allocator->pfnReallocation || !allocator->pfnFree)) {
    return error(Code::kInvalidArgument, "the allocation callbacks lack pfnAllocation, pfnReallocation or pfnFree");
  }
  return ok_status();
}

Status check_caller_device(const CallerDevice& caller, std::span<const PhysicalDevice> devices) {
  const auto physical = std::find_if(devices.begin(), devices.end(), [&](const PhysicalDevice& one) { return one.handle == caller.physical; });
  if (physical == devices.end()) return error(Code::kInvalidArgument, "the VkPhysicalDevice is none of the VkInstance");
  const std::string missing = missing_features(*physical);
  if (!missing.empty()) return error(Code::kUnsupported, "the caller's device lacks %s", missing.c_str());
  const std::string disabled = disabled_features(*caller.created_with);
  if (!disabled.empty()) return error(Code::kUnsupported, "the caller's device was made without %s: enable what Hotset needs", disabled.c_str());
  HOTSET_RETURN_IF_ERROR(check_family(caller, caller.compute, *physical, VK_QUEUE_COMPUTE_BIT, "compute"));
  if (caller.transfer.queue == VK_NULL_HANDLE) return ok_status();
  constexpr VkQueueFlags copies = VK_QUEUE_TRANSFER_BIT | VK_QUEUE_COMPUTE_BIT | VK_QUEUE_GRAPHICS_BIT;
  return check_family(caller, caller.transfer, *physical, copies, "transfer");
}

Status check_caller_queues(const CallerDevice& caller, const DeviceFunctions& fn) {
  HOTSET_RETURN_IF_ERROR(check_queue(caller, caller.compute, fn, "compute"));
  return caller.transfer.queue == VK_NULL_HANDLE ? ok_status() : check_queue(caller, caller.transfer, fn, "transfer");
}

}  // namespace hotset
