#include "platform/vulkan/device_report.h"

#include "platform/vulkan/device.h"
#include "platform/vulkan/features.h"
#include "platform/vulkan/instance.h"

namespace hotset {
namespace {

const char* kind_name(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return "software";
    default: return "other";
  }
}

std::string version_text(uint32_t version) {
  return std::to_string(VK_API_VERSION_MAJOR(version)) + "." + std::to_string(VK_API_VERSION_MINOR(version)) + "." +
         std::to_string(VK_API_VERSION_PATCH(version));
}

std::vector<std::string> queue_lines(const std::vector<VkQueueFamilyProperties>& families) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < families.size(); ++i) {
    std::string line = std::to_string(i) + ": " + std::to_string(families[i].queueCount) + " x";
    if (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) line += " graphics";
    if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) line += " compute";
    if (families[i].queueFlags & VK_QUEUE_TRANSFER_BIT) line += " transfer";
    lines.push_back(line);
  }
  return lines;
}

std::vector<DeviceHeap> heaps_of(PhysicalDevice device) {
  const bool has_budget = has_device_extension(device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT, nullptr, {}, {}};
  VkPhysicalDeviceMemoryProperties2 memory = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, has_budget ? &budget : nullptr, {}};
  device.fn->vkGetPhysicalDeviceMemoryProperties2(device.handle, &memory);
  const VkPhysicalDeviceMemoryProperties& properties = memory.memoryProperties;
  std::vector<DeviceHeap> heaps(properties.memoryHeapCount);
  for (uint32_t i = 0; i < properties.memoryHeapCount; ++i) {
    heaps[i].size_bytes = properties.memoryHeaps[i].size;
    heaps[i].budget_bytes = has_budget ? budget.heapBudget[i] : properties.memoryHeaps[i].size;
    heaps[i].used_bytes = has_budget ? budget.heapUsage[i] : 0;
    heaps[i].device_local = (properties.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
  }
  for (uint32_t i = 0; i < properties.memoryTypeCount; ++i) {
    const VkMemoryType& type = properties.memoryTypes[i];
    if (type.propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) heaps[type.heapIndex].host_visible = true;
  }
  return heaps;
}

// Extensions that speed-ups look for, beside the needed features.
constexpr const char* kNotableExtensions[] = {VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, "VK_EXT_external_memory_host", "VK_KHR_cooperative_matrix",
                                              "VK_EXT_memory_priority", "VK_EXT_pageable_device_local_memory"};

DeviceReport report_device(uint32_t index, PhysicalDevice device) {
  VkPhysicalDeviceVulkan13Properties v13 = {};
  v13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES;
  VkPhysicalDeviceDriverProperties driver = {};
  driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
  driver.pNext = &v13;
  VkPhysicalDeviceSubgroupProperties subgroup = {};
  subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
  subgroup.pNext = &driver;
  VkPhysicalDeviceMaintenance3Properties maintenance = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, &subgroup, 0, 0};
  VkPhysicalDeviceProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &maintenance, {}};
  device.fn->vkGetPhysicalDeviceProperties2(device.handle, &properties);
  const VkPhysicalDeviceProperties& base = properties.properties;
  const auto families = queue_families(device);
  DeviceReport report;
  report.index = index;
  report.name = base.deviceName;
  report.driver = std::string(driver.driverName) + " " + driver.driverInfo;
  report.api_version = version_text(base.apiVersion);
  report.kind = kind_name(base.deviceType);
  report.why_not = missing_features(device);
  report.usable = report.why_not.empty();
  report.subgroup_size = subgroup.subgroupSize;
  report.max_allocation_bytes = maintenance.maxMemoryAllocationSize;
  report.max_storage_range_bytes = base.limits.maxStorageBufferRange;
  report.max_shared_bytes = base.limits.maxComputeSharedMemorySize;
  report.has_transfer_queue = find_own_transfer_family(families) >= 0;
  report.queues = queue_lines(families);
  report.heaps = heaps_of(device);
  for (const char* name : kNotableExtensions) {
    if (has_device_extension(device, name)) report.features.emplace_back(name);
  }
  if (v13.integerDotProduct4x8BitPackedSignedAccelerated) report.features.emplace_back("integer dot product");
  return report;
}

}  // namespace

Result<std::vector<DeviceReport>> report_devices() {
  HOTSET_ASSIGN(const auto instance, Instance::create(false));
  HOTSET_ASSIGN(const auto devices, instance->physical_devices());
  std::vector<DeviceReport> reports;
  for (uint32_t i = 0; i < devices.size(); ++i) reports.push_back(report_device(i, devices[i]));
  return reports;
}

}  // namespace hotset
