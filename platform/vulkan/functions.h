// Entry points of Vulkan: of an instance and of a device, each in a table of its owner's, so that any number of loaders and devices
// live side by side and no symbol of Vulkan's is taken from the program that embeds Hotset.
//
// Only what is listed here can be called. Immutable once loaded: any thread may read them.
#pragma once

#include "platform/status.h"
#include "platform/vulkan/vk.h"

namespace hotset {

#define HOTSET_INSTANCE_FUNCTIONS(X)            \
  X(vkCreateDevice)                             \
  X(vkDestroyInstance)                          \
  X(vkEnumerateDeviceExtensionProperties)       \
  X(vkEnumeratePhysicalDevices)                 \
  X(vkGetDeviceProcAddr)                        \
  X(vkGetPhysicalDeviceExternalBufferProperties) \
  X(vkGetPhysicalDeviceFeatures2)               \
  X(vkGetPhysicalDeviceMemoryProperties)        \
  X(vkGetPhysicalDeviceMemoryProperties2)       \
  X(vkGetPhysicalDeviceProperties)              \
  X(vkGetPhysicalDeviceProperties2)             \
  X(vkGetPhysicalDeviceQueueFamilyProperties)

// Those of Vulkan 1.3. None waits for a queue or a device to be idle: a device may be shared with the program around us.
#define HOTSET_DEVICE_FUNCTIONS(X)  \
  X(vkAllocateCommandBuffers)       \
  X(vkAllocateMemory)               \
  X(vkBeginCommandBuffer)           \
  X(vkBindBufferMemory)             \
  X(vkCmdBindPipeline)              \
  X(vkCmdCopyBuffer)                \
  X(vkCmdDispatch)                  \
  X(vkCmdPipelineBarrier2)          \
  X(vkCmdPushConstants)             \
  X(vkCmdResetQueryPool)            \
  X(vkCmdWriteTimestamp2)           \
  X(vkCreateBuffer)                 \
  X(vkCreateCommandPool)            \
  X(vkCreateComputePipelines)       \
  X(vkCreatePipelineCache)          \
  X(vkCreatePipelineLayout)         \
  X(vkCreateQueryPool)              \
  X(vkCreateSemaphore)              \
  X(vkCreateShaderModule)           \
  X(vkDestroyBuffer)                \
  X(vkDestroyCommandPool)           \
  X(vkDestroyDevice)                \
  X(vkDestroyPipeline)              \
  X(vkDestroyPipelineCache)         \
  X(vkDestroyPipelineLayout)        \
  X(vkDestroyQueryPool)             \
  X(vkDestroySemaphore)             \
  X(vkDestroyShaderModule)          \
  X(vkEndCommandBuffer)             \
  X(vkFreeMemory)                   \
  X(vkGetBufferDeviceAddress)       \
  X(vkGetBufferMemoryRequirements)  \
  X(vkGetDeviceBufferMemoryRequirements) \
  X(vkGetDeviceQueue)               \
  X(vkGetPipelineCacheData)         \
  X(vkGetQueryPoolResults)          \
  X(vkGetSemaphoreCounterValue)     \
  X(vkMapMemory)                    \
  X(vkQueueSubmit2)                 \
  X(vkWaitSemaphores)

// Those of extensions that a device may lack; nullptr there.
#define HOTSET_DEVICE_EXTENSION_FUNCTIONS(X) X(vkGetMemoryHostPointerPropertiesEXT)

#define HOTSET_DECLARE(name) PFN_##name name = nullptr;
struct InstanceFunctions {
  HOTSET_INSTANCE_FUNCTIONS(HOTSET_DECLARE)
};

struct DeviceFunctions {
  HOTSET_DEVICE_FUNCTIONS(HOTSET_DECLARE)
  HOTSET_DEVICE_EXTENSION_FUNCTIONS(HOTSET_DECLARE)
};
#undef HOTSET_DECLARE

// A physical device and how to ask about it; valid as long as its Instance.
struct PhysicalDevice {
  const InstanceFunctions* fn = nullptr;
  VkPhysicalDevice handle = VK_NULL_HANDLE;
};

struct VulkanLoader {
  PFN_vkGetInstanceProcAddr get = nullptr;
};

// The machine's, which stays loaded. Error: there is none.
Result<VulkanLoader> load_vulkan();

// Error: names what the instance or the device does not have, as those made for an older Vulkan.
Status load_functions(PFN_vkGetInstanceProcAddr get, VkInstance instance, InstanceFunctions& out);
Status load_functions(const InstanceFunctions& instance, VkDevice device, DeviceFunctions& out);

}  // namespace hotset
