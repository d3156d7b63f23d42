#include "platform/vulkan/device.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <span>

#include "platform/log.h"
#include "platform/seams.h"
#include "platform/vulkan/features.h"
#include "platform/vulkan/instance.h"

namespace hotset {
namespace {

// Higher is preferred by "auto".
int preference(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return 4;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return 3;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return 2;
    case VK_PHYSICAL_DEVICE_TYPE_OTHER: return 1;
    default: return 0;
  }
}

VkPhysicalDeviceProperties properties_of(VkPhysicalDevice device) {
  VkPhysicalDeviceProperties properties = {};
  vkGetPhysicalDeviceProperties(device, &properties);
  return properties;
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b)); };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

Result<VkPhysicalDevice> pick_auto(const std::vector<VkPhysicalDevice>& devices) {
  VkPhysicalDevice best = VK_NULL_HANDLE;
  for (VkPhysicalDevice device : devices) {
    if (!missing_features(device).empty()) continue;
    if (best == VK_NULL_HANDLE || preference(properties_of(device).deviceType) > preference(properties_of(best).deviceType)) best = device;
  }
  if (best != VK_NULL_HANDLE) return best;
  return error(Code::kUnsupported, "no usable Vulkan device: '%s' lacks %s", properties_of(devices[0]).deviceName,
               missing_features(devices[0]).c_str());
}

Result<VkPhysicalDevice> pick(const std::vector<VkPhysicalDevice>& devices, const std::string& selector) {
  if (selector.empty() || selector == "auto") return pick_auto(devices);
  uint32_t index = 0;
  const auto [end, ec] = std::from_chars(selector.data(), selector.data() + selector.size(), index);
  VkPhysicalDevice found = VK_NULL_HANDLE;
  if (ec == std::errc() && end == selector.data() + selector.size()) {
    if (index < devices.size()) found = devices[index];
  } else {
    for (VkPhysicalDevice device : devices) {
      if (found == VK_NULL_HANDLE && contains_ignoring_case(properties_of(device).deviceName, selector)) found = device;
    }
  }
  if (found == VK_NULL_HANDLE) {
    return error(Code::kInvalidArgument, "no Vulkan device '%s': 'hotset devices' lists them", selector.c_str());
  }
  const std::string missing = missing_features(found);
  if (!missing.empty()) return error(Code::kUnsupported, "the device '%s' lacks %s", properties_of(found).deviceName, missing.c_str());
  return found;
}

DeviceBudget read_budget(VkPhysicalDevice device, const VkPhysicalDeviceMemoryProperties& memory, bool has_extension) {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT, nullptr, {}, {}};
  VkPhysicalDeviceMemoryProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, has_extension ? &budget : nullptr, {}};
  vkGetPhysicalDeviceMemoryProperties2(device, &properties);
  DeviceBudget out;
  out.from_driver = has_extension;
  for (uint32_t i = 0; i < memory.memoryHeapCount; ++i) {
    const VkMemoryHeap& heap = memory.memoryHeaps[i];
    if (!(heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) || heap.size <= out.total_bytes) continue;
    out.total_bytes = heap.size;
    const uint64_t used = has_extension ? budget.heapUsage[i] : 0;
    const uint64_t allowed = has_extension ? budget.heapBudget[i] : heap.size;
    out.free_bytes = allowed > used ? allowed - used : 0;
    out.process_used_bytes = used;
  }
  return out;
}

bool has_one_kind_of_heap(const VkPhysicalDeviceMemoryProperties& memory) {
  const std::span heaps(memory.memoryHeaps, memory.memoryHeapCount);
  return std::all_of(heaps.begin(), heaps.end(), [](const VkMemoryHeap& heap) { return (heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0; });
}

// Of the extensions that Hotset can use, those that the device has.
std::vector<const char*> wanted_extensions(VkPhysicalDevice device) {
  std::vector<const char*> present;
  for (const char* name : {VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME,
                           "VK_KHR_portability_subset"}) {  // the last must be asked for where a device has it, as on macOS
    if (has_device_extension(device, name)) present.push_back(name);
  }
  return present;
}

bool contains(const std::vector<const char*>& names, std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); }

std::string hex(const uint8_t* bytes, size_t count) {
  std::string text;
  char pair[3];
  for (size_t i = 0; i < count; ++i) {
    std::snprintf(pair, sizeof pair, "%02x", bytes[i]);
    text += pair;
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<Device>> Device::open(const DeviceOptions& options) {
  std::unique_ptr<Device> device(new Device());
  HOTSET_ASSIGN(device->instance_, create_instance(options.validation));
  HOTSET_ASSIGN(const auto devices, physical_devices(device->instance_));
  HOTSET_ASSIGN(const VkPhysicalDevice physical, pick(devices, options.selector));
  HOTSET_RETURN_IF_ERROR(device->create(physical, options.seams));
  return device;
}

Status Device::create(VkPhysicalDevice physical, const Seams* seams) {
  physical_ = physical;
  const auto families = queue_families(physical);
  const int compute = find_compute_family(families);
  if (compute < 0) return error(Code::kUnsupported, "the device has no compute queue");
  const int own_transfer = find_own_transfer_family(families);
  own_transfer_ = own_transfer >= 0;
  compute_family_ = static_cast<uint32_t>(compute);
  transfer_family_ = static_cast<uint32_t>(own_transfer_ ? own_transfer : compute);

  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queues[2] = {{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO}, {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO}};
  queues[0].queueFamilyIndex = compute_family_;
  queues[1].queueFamilyIndex = transfer_family_;
  for (auto& queue : queues) {
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
  }
  FeatureChain features;
  enable_needed_features(features);
  const auto extensions = wanted_extensions(physical);
  has_memory_budget_ = contains(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  has_host_import_ = contains(extensions, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features.core};
  info.queueCreateInfoCount = own_transfer_ ? 2 : 1;
  info.pQueueCreateInfos = queues;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  HOTSET_VK("vkCreateDevice", vkCreateDevice(physical, &info, nullptr, &device_));
  volkLoadDeviceTable(&fn_, device_);
  if (seams && seams->device) seams->device(fn_);
  read_limits();
  return create_queues();
}

Status Device::create_queues() {
  VkQueue compute = VK_NULL_HANDLE;
  VkQueue transfer = VK_NULL_HANDLE;
  fn_.vkGetDeviceQueue(device_, compute_family_, 0, &compute);
  fn_.vkGetDeviceQueue(device_, transfer_family_, 0, &transfer);
  const auto lock = std::make_shared<std::mutex>();
  compute_ = std::make_unique<Queue>(*this, compute, compute_family_, lock);
  transfer_ = std::make_unique<Queue>(*this, transfer, transfer_family_, own_transfer_ ? std::make_shared<std::mutex>() : lock);
  HOTSET_RETURN_IF_ERROR(compute_->init());
  return transfer_->init();
}

void Device::read_limits() {
  VkPhysicalDeviceSubgroupSizeControlProperties control = {};
  control.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES;
  VkPhysicalDeviceSubgroupProperties subgroup = {};
  subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
  subgroup.pNext = &control;
  VkPhysicalDeviceProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &subgroup, {}};
  vkGetPhysicalDeviceProperties2(physical_, &properties);
  const VkPhysicalDeviceProperties& base = properties.properties;
  limits_.software = base.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
  read_memory_limits();
  limits_.subgroup_size = subgroup.subgroupSize;
  subgroup_stages_ok_ = (control.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  limits_.max_workgroup_size = base.limits.maxComputeWorkGroupInvocations;
  limits_.max_workgroups_x = base.limits.maxComputeWorkGroupCount[0];
  limits_.max_workgroups_y = base.limits.maxComputeWorkGroupCount[1];
  limits_.max_workgroups_z = base.limits.maxComputeWorkGroupCount[2];
  limits_.max_shared_bytes = base.limits.maxComputeSharedMemorySize;
  const auto families = queue_families(physical_);
  if (families[compute_family_].timestampValidBits != 0) limits_.timestamp_period_ns = base.limits.timestampPeriod;
  name_ = base.deviceName;
  char ids[64];
  std::snprintf(ids, sizeof ids, "%08x-%08x-%08x-", base.vendorID, base.deviceID, base.driverVersion);
  cache_key_ = ids + hex(base.pipelineCacheUUID, VK_UUID_SIZE);
}

void Device::read_memory_limits() {
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT, nullptr, 0};
  VkPhysicalDeviceMaintenance4Properties buffers = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES, has_host_import_ ? &host : nullptr, 0};
  VkPhysicalDeviceMaintenance3Properties allocations = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, &buffers, 0, 0};
  VkPhysicalDeviceProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &allocations, {}};
  vkGetPhysicalDeviceProperties2(physical_, &properties);
  vkGetPhysicalDeviceMemoryProperties(physical_, &memory_);
  limits_.unified = limits_.software || properties.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || has_one_kind_of_heap(memory_);
  limits_.max_allocation_bytes = allocations.maxMemoryAllocationSize;
  limits_.max_buffer_bytes = buffers.maxBufferSize;
  limits_.host_import_alignment_bytes = host.minImportedHostPointerAlignment;
}

uint64_t Device::heap_free_bytes(uint32_t heap) const {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT, nullptr, {}, {}};
  VkPhysicalDeviceMemoryProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, &budget, {}};
  if (!has_memory_budget_) return memory_.memoryHeaps[heap].size;
  vkGetPhysicalDeviceMemoryProperties2(physical_, &properties);
  return budget.heapBudget[heap] - std::min(budget.heapBudget[heap], budget.heapUsage[heap]);
}

DeviceBudget Device::budget() const { return read_budget(physical_, memory_, has_memory_budget_); }

void Device::wait_idle() const { static_cast<void>(fn_.vkDeviceWaitIdle(device_)); }

Device::~Device() {
  if (device_ != VK_NULL_HANDLE) {
    compute_.reset();
    transfer_.reset();
    fn_.vkDestroyDevice(device_, nullptr);
  }
  destroy_instance(instance_);
}

}  // namespace hotset
