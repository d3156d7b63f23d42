// What a device was made with, wherever in the chain a feature was turned on.
#include <doctest/doctest.h>

#include "platform/vulkan/features.h"

using namespace hotset;

namespace {

// As programs write it that keep to the structs that features came with.
struct OldChain {
  VkPhysicalDeviceMaintenance4Features maintenance = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES};
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroups = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES, &maintenance};
  VkPhysicalDeviceSynchronization2Features sync = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES, &subgroups};
  VkPhysicalDeviceScalarBlockLayoutFeatures scalar = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SCALAR_BLOCK_LAYOUT_FEATURES, &sync};
  VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES, &scalar};
  VkPhysicalDeviceBufferDeviceAddressFeatures addresses = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES, &timeline};
  VkPhysicalDevice16BitStorageFeatures storage = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES, &addresses};
  VkPhysicalDeviceFeatures2 core = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &storage};
};

}  // namespace

TEST_CASE("features: all that is needed can be turned on in the structs of the versions, and in those of their own") {
  FeatureChain versions;
  OldChain old;
  for (VkPhysicalDeviceFeatures2* chain : {&versions.core, &old.core}) {
    VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, chain};
    CHECK(disabled_features(info).find("shaderInt64, shaderInt16, storageBuffer16BitAccess, bufferDeviceAddress, timelineSemaphore") == 0);
    REQUIRE(enable_needed_features(*chain).ok());
    CHECK(disabled_features(info) == "");
  }
  old.subgroups.computeFullSubgroups = VK_FALSE;
  versions.v13.computeFullSubgroups = VK_FALSE;
  for (const VkPhysicalDeviceFeatures2* chain : {&versions.core, &old.core}) {
    CHECK(disabled_features({VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, chain}) == "computeFullSubgroups");
  }
}

TEST_CASE("features: those of Vulkan 1.0 may come beside the chain") {
  OldChain old;
  REQUIRE(enable_needed_features(old.core).ok());
  VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &old.storage};
  CHECK(disabled_features(info) == "shaderInt64, shaderInt16");
  info.pEnabledFeatures = &old.core.features;
  CHECK(disabled_features(info) == "");
}

TEST_CASE("features: a chain without room names the struct that is missing") {
  OldChain old;
  old.sync.pNext = &old.maintenance;
  const Status status = enable_needed_features(old.core);
  CHECK(status.code() == Code::kInvalidArgument);
  CHECK_MESSAGE(status.message().find("VkPhysicalDeviceSubgroupSizeControlFeatures") != std::string::npos, status.message());
}
