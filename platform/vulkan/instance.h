// The Vulkan loader and an instance. Loaded once per process; instances are made and destroyed by their owner.
#pragma once

#include <string>
#include <vector>

#include "platform/status.h"
#include "platform/vulkan/vk.h"

namespace hotset {

// Loads libvulkan and makes an instance of Vulkan 1.3. Error: no loader, no driver, layer not installed.
Result<VkInstance> create_instance(bool validation);
void destroy_instance(VkInstance instance);

// In the loader's order; never empty. Error: none.
Result<std::vector<VkPhysicalDevice>> physical_devices(VkInstance instance);

bool has_device_extension(VkPhysicalDevice device, const char* name);

}  // namespace hotset
