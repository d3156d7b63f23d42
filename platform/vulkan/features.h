// The device features that Hotset needs: asked for, checked and enabled in one place.
#pragma once

#include <string>

#include "platform/vulkan/vk.h"

namespace hotset {

// The chain of feature structs that vkCreateDevice takes. Not copyable: the structs point at each other.
struct FeatureChain {
  VkPhysicalDeviceFeatures2 core = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features v11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features v12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceVulkan13Features v13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};

  FeatureChain();
  FeatureChain(const FeatureChain&) = delete;
  FeatureChain& operator=(const FeatureChain&) = delete;
};

// Names of what Hotset needs and the device lacks, comma separated; empty when it can be used.
std::string missing_features(VkPhysicalDevice device);

// Sets exactly the needed features in `chain`.
void enable_needed_features(FeatureChain& chain);

}  // namespace hotset
