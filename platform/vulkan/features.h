// The device features that Hotset needs: asked for, checked and enabled in one place.
#pragma once

#include <string>

#include "platform/status.h"
#include "platform/vulkan/functions.h"

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
std::string missing_features(PhysicalDevice device);

// Sets the needed features, and touches no other, in a chain that begins with `chain`; a feature may lie in the struct of its Vulkan version
// or in its own. Error: kInvalidArgument names the struct that has to be chained.
Status enable_needed_features(VkPhysicalDeviceFeatures2& chain);

// Names of the needed features that a device made with `info` has not enabled, comma separated; empty when it has all.
std::string disabled_features(const VkDeviceCreateInfo& info);

}  // namespace hotset
