#include "platform/vulkan/features.h"

namespace hotset {
namespace {

struct NeededFeature {
  const char* name;
  VkBool32& (*field)(FeatureChain&);
};

// 16-bit storage: block scales and the F16 KV cache. Int64: slot addresses. Subgroup size control: kernels count on the
// lanes they were compiled for.
const NeededFeature kNeeded[] = {
    {"shaderInt64", [](FeatureChain& c) -> VkBool32& { return c.core.features.shaderInt64; }},
    {"shaderInt16", [](FeatureChain& c) -> VkBool32& { return c.core.features.shaderInt16; }},
    {"storageBuffer16BitAccess", [](FeatureChain& c) -> VkBool32& { return c.v11.storageBuffer16BitAccess; }},
    {"bufferDeviceAddress", [](FeatureChain& c) -> VkBool32& { return c.v12.bufferDeviceAddress; }},
    {"timelineSemaphore", [](FeatureChain& c) -> VkBool32& { return c.v12.timelineSemaphore; }},
    {"scalarBlockLayout", [](FeatureChain& c) -> VkBool32& { return c.v12.scalarBlockLayout; }},
    {"synchronization2", [](FeatureChain& c) -> VkBool32& { return c.v13.synchronization2; }},
    {"subgroupSizeControl", [](FeatureChain& c) -> VkBool32& { return c.v13.subgroupSizeControl; }},
    {"computeFullSubgroups", [](FeatureChain& c) -> VkBool32& { return c.v13.computeFullSubgroups; }},
    {"maintenance4", [](FeatureChain& c) -> VkBool32& { return c.v13.maintenance4; }},
};

bool has_subgroup_operations(VkPhysicalDevice device) {
  VkPhysicalDeviceSubgroupProperties subgroup = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
  VkPhysicalDeviceProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &subgroup, {}};
  vkGetPhysicalDeviceProperties2(device, &properties);
  constexpr VkSubgroupFeatureFlags wanted =
      VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
  return (subgroup.supportedOperations & wanted) == wanted && (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
}

}  // namespace

FeatureChain::FeatureChain() {
  core.pNext = &v11;
  v11.pNext = &v12;
  v12.pNext = &v13;
}

std::string missing_features(VkPhysicalDevice device) {
  VkPhysicalDeviceProperties properties = {};
  vkGetPhysicalDeviceProperties(device, &properties);
  if (properties.apiVersion < VK_API_VERSION_1_3) return "Vulkan 1.3";
  FeatureChain present;
  vkGetPhysicalDeviceFeatures2(device, &present.core);
  std::string missing;
  for (const NeededFeature& needed : kNeeded) {
    if (needed.field(present)) continue;
    missing += (missing.empty() ? "" : ", ") + std::string(needed.name);
  }
  if (!has_subgroup_operations(device)) missing += missing.empty() ? "subgroup operations" : ", subgroup operations";
  return missing;
}

void enable_needed_features(FeatureChain& chain) {
  for (const NeededFeature& needed : kNeeded) needed.field(chain) = VK_TRUE;
}

}  // namespace hotset
