#include "platform/vulkan/features.h"

#include <cstddef>

namespace hotset {
namespace {

// A VkBool32 in a feature struct.
struct Place {
  VkStructureType type;
  const char* struct_name;
  size_t offset_bytes;
};

struct NeededFeature {
  const char* name;
  Place of_version;  // in the struct of its Vulkan version
  Place of_its_own;  // in the struct that the feature came with; the same where there is none
};

#define HOTSET_AT(type, structure, field) {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_##type##_FEATURES, #structure, offsetof(structure, field)}
#define HOTSET_CORE(field)                                                                                       \
  {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, "VkPhysicalDeviceFeatures2",                                    \
   offsetof(VkPhysicalDeviceFeatures2, features) + offsetof(VkPhysicalDeviceFeatures, field)}
#define HOTSET_FEATURE(field, version, own_type, own_struct)                                                     \
  {#field, HOTSET_AT(VULKAN_1_##version, VkPhysicalDeviceVulkan1##version##Features, field), HOTSET_AT(own_type, own_struct, field)}

// 16-bit storage: block scales and the F16 KV cache. Int64: slot addresses. Subgroup size control: kernels count on the
// lanes they were compiled for.
constexpr NeededFeature kNeeded[] = {
    {"shaderInt64", HOTSET_CORE(shaderInt64), HOTSET_CORE(shaderInt64)},
    {"shaderInt16", HOTSET_CORE(shaderInt16), HOTSET_CORE(shaderInt16)},
    HOTSET_FEATURE(storageBuffer16BitAccess, 1, 16BIT_STORAGE, VkPhysicalDevice16BitStorageFeatures),
    HOTSET_FEATURE(bufferDeviceAddress, 2, BUFFER_DEVICE_ADDRESS, VkPhysicalDeviceBufferDeviceAddressFeatures),
    HOTSET_FEATURE(timelineSemaphore, 2, TIMELINE_SEMAPHORE, VkPhysicalDeviceTimelineSemaphoreFeatures),
    HOTSET_FEATURE(scalarBlockLayout, 2, SCALAR_BLOCK_LAYOUT, VkPhysicalDeviceScalarBlockLayoutFeatures),
    HOTSET_FEATURE(synchronization2, 3, SYNCHRONIZATION_2, VkPhysicalDeviceSynchronization2Features),
    HOTSET_FEATURE(subgroupSizeControl, 3, SUBGROUP_SIZE_CONTROL, VkPhysicalDeviceSubgroupSizeControlFeatures),
    HOTSET_FEATURE(computeFullSubgroups, 3, SUBGROUP_SIZE_CONTROL, VkPhysicalDeviceSubgroupSizeControlFeatures),
    HOTSET_FEATURE(maintenance4, 3, MAINTENANCE_4, VkPhysicalDeviceMaintenance4Features),
};

#undef HOTSET_AT
#undef HOTSET_CORE
#undef HOTSET_FEATURE

// Where a feature lies in the chain; nullptr: nowhere.
const VkBool32* find(const void* chain, const NeededFeature& needed) {
  for (auto next = static_cast<const VkBaseInStructure*>(chain); next != nullptr; next = next->pNext) {
    for (const Place& place : {needed.of_version, needed.of_its_own}) {
      if (next->sType == place.type) return reinterpret_cast<const VkBool32*>(reinterpret_cast<const std::byte*>(next) + place.offset_bytes);
    }
  }
  return nullptr;
}

bool is_on(const void* chain, const NeededFeature& needed) {
  const VkBool32* field = find(chain, needed);
  return field != nullptr && *field != VK_FALSE;
}

void add_name(std::string& names, const char* name) { names += (names.empty() ? "" : ", ") + std::string(name); }

bool has_subgroup_operations(PhysicalDevice device) {
  VkPhysicalDeviceSubgroupProperties subgroup = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
  VkPhysicalDeviceProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &subgroup, {}};
  device.fn->vkGetPhysicalDeviceProperties2(device.handle, &properties);
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

std::string missing_features(PhysicalDevice device) {
  VkPhysicalDeviceProperties properties = {};
  device.fn->vkGetPhysicalDeviceProperties(device.handle, &properties);
  if (properties.apiVersion < VK_API_VERSION_1_3) return "Vulkan 1.3";
  FeatureChain present;
  device.fn->vkGetPhysicalDeviceFeatures2(device.handle, &present.core);
  std::string missing;
  for (const NeededFeature& needed : kNeeded) {
    if (!is_on(&present.core, needed)) add_name(missing, needed.name);
  }
  if (!has_subgroup_operations(device)) add_name(missing, "subgroup operations");
  return missing;
}

Status enable_needed_features(VkPhysicalDeviceFeatures2& chain) {
  for (const NeededFeature& needed : kNeeded) {
    const VkBool32* field = find(&chain, needed);
    if (field == nullptr) {
      return error(Code::kInvalidArgument, "%s has no place in the chain of features: add a %s or a %s", needed.name, needed.of_version.struct_name,
                   needed.of_its_own.struct_name);
    }
    *const_cast<VkBool32*>(field) = VK_TRUE;
  }
  return ok_status();
}

std::string disabled_features(const VkDeviceCreateInfo& info) {
  VkPhysicalDeviceFeatures2 core = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, const_cast<void*>(info.pNext), {}};
  if (info.pEnabledFeatures != nullptr) core.features = *info.pEnabledFeatures;
  const void* chain = info.pEnabledFeatures != nullptr ? &core : info.pNext;
  std::string disabled;
  for (const NeededFeature& needed : kNeeded) {
    if (!is_on(chain, needed)) add_name(disabled, needed.name);
  }
  return disabled;
}

}  // namespace hotset
