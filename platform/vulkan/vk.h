// Vulkan's types without its functions (functions.h has those), and VkResult as Status. Included by the Vulkan files of platform/ and by those above that
// record commands; never by a header that embedders see.
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan.h>

#include "platform/status.h"

namespace hotset {

const char* vk_result_name(VkResult result);

// Status for a failed call: "vkMapMemory failed: VK_ERROR_MEMORY_MAP_FAILED". Memory errors keep their own code; a lost device says what to do.
Status vk_error(const char* call, VkResult result);

#define HOTSET_VK(call_name, expr)                                              \
  do {                                                                          \
    const VkResult hotset_vk_ = (expr);                                         \
    if (hotset_vk_ != VK_SUCCESS) return ::hotset::vk_error(call_name, hotset_vk_); \
  } while (0)

}  // namespace hotset
