// Vulkan through volk, and VkResult as Status. Included by the Vulkan files of platform/ and by those above that
// record commands; never by a header that embedders see.
#pragma once

#include <volk.h>

#include "platform/status.h"

namespace hotset {

const char* vk_result_name(VkResult result);

// Status for a failed call: "vkQueueSubmit2 failed: VK_ERROR_DEVICE_LOST". Memory errors keep their own code.
Status vk_error(const char* call, VkResult result);

#define HOTSET_VK(call_name, expr)                                              \
  do {                                                                          \
    const VkResult hotset_vk_ = (expr);                                         \
    if (hotset_vk_ != VK_SUCCESS) return ::hotset::vk_error(call_name, hotset_vk_); \
  } while (0)

}  // namespace hotset
