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

VkPhysicalDeviceProperties properties_of(PhysicalDevice device) {
  VkPhysicalDeviceProperties properties = {};
  device.fn->vkGetPhysicalDeviceProperties(device.handle, &properties);
  return properties;
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b)); };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

Result<PhysicalDevice> pick_auto(const std::vector<PhysicalDevice>& devices) {
  PhysicalDevice best;
  for (const PhysicalDevice& device : devices) {
    if (!missing_features(device).empty()) continue;
    if (best.handle == VK_NULL_HANDLE || preference(properties_of(device).deviceType) > preference(properties_of(best).deviceType)) best = device;
  }
  if (best.handle != VK_NULL_HANDLE) return best;
  return error(Code::kUnsupported, "no usable Vulkan device: '%s' lacks %s", properties_of(devices[0]).deviceName,
               missing_features(devices[0]).c_str());
}

Result<PhysicalDevice> pick(const std::vector<PhysicalDevice>& devices, const std::string& selector) {
  if (selector.empty() || selector == "auto") return pick_auto(devices);
  uint32_t index = 0;
  const auto [end, ec] = std::from_chars(selector.data(), selector.data() + selector.size(), index);
  PhysicalDevice found;
  if (ec == std::errc() && end == selector.data() + selector.size()) {
    if (index < devices.size()) found = devices[index];
  } else {
    for (const PhysicalDevice& device : devices) {
      if (found.handle == VK_NULL_HANDLE && contains_ignoring_case(properties_of(device).deviceName, selector)) found = device;
    }
  }
  if (found.handle == VK_NULL_HANDLE) {
    return error(Code::kInvalidArgument, "no Vulkan device '%s': 'hotset devices' lists them", selector.c_str());
  }
  const std::string missing = missing_features(found);
  if (!missing.empty()) return error(Code::kUnsupported, "the device '%s' lacks %s", properties_of(found).deviceName, missing.c_str());
  return found;
}

DeviceBudget read_budget(PhysicalDevice device, const VkPhysicalDeviceMemoryProperties& memory, bool has_extension) {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT, nullptr, {}, {}};
  VkPhysicalDeviceMemoryProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, has_extension ? &budget : nullptr, {}};
  device.fn->vkGetPhysicalDeviceMemoryProperties2(device.handle, &properties);
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
std::vector<const char*> wanted_extensions(PhysicalDevice device) {
  std::vector<const char*> present;
  for (const char* name : usable_extensions()) {
    if (has_device_extension(device, name)) present.push_back(name);
  }
  constexpr const char* kPortabilitySubset = "VK_KHR_portability_subset";  // must be asked for where a device has it, as on macOS
  if (has_device_extension(device, kPortabilitySubset)) present.push_back(kPortabilitySubset);
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
  HOTSET_RETURN_IF_ERROR(options.caller ? device->adopt(*options.caller) : device->create(options));
  HOTSET_RETURN_IF_ERROR(device->load(options.seams));
  if (options.caller) HOTSET_RETURN_IF_ERROR(check_caller_queues(*options.caller, device->fn_));
  device->read_limits();
  HOTSET_RETURN_IF_ERROR(device->create_queues(options.caller));
  return device;
}

Status Device::create(const DeviceOptions& options) {
  HOTSET_ASSIGN(instance_, Instance::create(options.validation));
  HOTSET_ASSIGN(const auto devices, instance_->physical_devices());
  HOTSET_ASSIGN(physical_, pick(devices, options.selector));
  const auto families = queue_families(physical_);
  const int compute = find_compute_family(families);
  if (compute < 0) return error(Code::kUnsupported, "the device has no compute queue");
  const int own_transfer = find_own_transfer_family(families);
  own_transfer_ = own_transfer >= 0;
  compute_family_ = static_cast<uint32_t>(compute);
  transfer_family_ = static_cast<uint32_t>(own_transfer_ ? own_transfer : compute);
  auto extensions = wanted_extensions(physical_);
  has_host_import_ = contains(extensions, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  if (!options.low_priority) return create_device(nullptr, extensions);
  VkDeviceQueueGlobalPriorityCreateInfoKHR low = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_GLOBAL_PRIORITY_CREATE_INFO_KHR, nullptr,
                                                  VK_QUEUE_GLOBAL_PRIORITY_LOW_KHR};
  for (const char* name : {VK_KHR_GLOBAL_PRIORITY_EXTENSION_NAME, VK_EXT_GLOBAL_PRIORITY_EXTENSION_NAME}) {
    if (!has_device_extension(physical_, name)) continue;
    auto with_priority = extensions;
    with_priority.push_back(name);
    if (create_device(&low, with_priority).ok()) return ok_status();
  }
  log_line(LogLevel::kInfo, "the driver knows no queues of low priority");
  return create_device(nullptr, extensions);
}

Status Device::create_device(const VkDeviceQueueGlobalPriorityCreateInfoKHR* priority, const std::vector<const char*>& extensions) {
  const float share = priority ? 0.0f : 1.0f;
  VkDeviceQueueCreateInfo queues[2] = {{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO}, {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO}};
  queues[0].queueFamilyIndex = compute_family_;
  queues[1].queueFamilyIndex = transfer_family_;
  for (auto& queue : queues) {
    queue.pNext = priority;
    queue.queueCount = 1;
    queue.pQueuePriorities = &share;
  }
  FeatureChain features;
  HOTSET_RETURN_IF_ERROR(enable_needed_features(features.core));
  VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features.core};
  info.queueCreateInfoCount = own_transfer_ ? 2 : 1;
  info.pQueueCreateInfos = queues;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  HOTSET_VK("vkCreateDevice", instance_->fn().vkCreateDevice(physical_.handle, &info, nullptr, &device_));
  return ok_status();
}

Status Device::adopt(const CallerDevice& caller) {
  owned_ = false;
  HOTSET_RETURN_IF_ERROR(check_caller_handles(caller));
  HOTSET_ASSIGN(instance_, Instance::adopt(caller.instance, caller.get_instance_proc_addr));
  HOTSET_ASSIGN(const auto devices, instance_->physical_devices());
  HOTSET_RETURN_IF_ERROR(check_caller_device(caller, devices));
  physical_ = {&instance_->fn(), caller.physical};
  device_ = caller.device;
  own_transfer_ = caller.transfer.queue != VK_NULL_HANDLE && caller.transfer.queue != caller.compute.queue;
  compute_family_ = caller.compute.family;
  transfer_family_ = own_transfer_ ? caller.transfer.family : caller.compute.family;
  has_host_import_ = caller.enables(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  has_allocator_ = caller.allocator != nullptr;
  if (has_allocator_) allocator_ = *caller.allocator;
  return ok_status();
}

Status Device::load(const Seams* seams) {
  HOTSET_RETURN_IF_ERROR(load_functions(instance_->fn(), device_, fn_));
  if (seams && seams->device) seams->device(fn_);
  // What is asked of the physical device alone need not be enabled.
  has_memory_budget_ = has_device_extension(physical_, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  has_host_import_ = has_host_import_ && fn_.vkGetMemoryHostPointerPropertiesEXT != nullptr;
  return ok_status();
}

Status Device::create_queues(const CallerDevice* caller) {
  CallerQueue compute = {compute_family_, VK_NULL_HANDLE};
  CallerQueue transfer = {transfer_family_, VK_NULL_HANDLE};
  if (caller) {
    compute = caller->compute;
    transfer = own_transfer_ ? caller->transfer : compute;
  } else {
    fn_.vkGetDeviceQueue(device_, compute_family_, 0, &compute.queue);
    fn_.vkGetDeviceQueue(device_, transfer_family_, 0, &transfer.queue);
  }
  const QueueGuard guard = caller ? caller->guard : QueueGuard{};
  const auto lock = std::make_shared<std::mutex>();
  compute_ = std::make_unique<Queue>(*this, compute, lock, guard);
  transfer_ = std::make_unique<Queue>(*this, transfer, own_transfer_ ? std::make_shared<std::mutex>() : lock, guard);
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
  physical_.fn->vkGetPhysicalDeviceProperties2(physical_.handle, &properties);
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
  limits_.timestamp_bits = families[compute_family_].timestampValidBits;
  if (limits_.timestamp_bits != 0) limits_.timestamp_period_ns = base.limits.timestampPeriod;
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
  physical_.fn->vkGetPhysicalDeviceProperties2(physical_.handle, &properties);
  physical_.fn->vkGetPhysicalDeviceMemoryProperties(physical_.handle, &memory_);
  limits_.unified = limits_.software || properties.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || has_one_kind_of_heap(memory_);
  limits_.max_allocation_bytes = allocations.maxMemoryAllocationSize;
  limits_.max_buffer_bytes = buffers.maxBufferSize;
  limits_.host_import_alignment_bytes = host.minImportedHostPointerAlignment;
}

uint64_t Device::heap_free_bytes(uint32_t heap) const {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT, nullptr, {}, {}};
  VkPhysicalDeviceMemoryProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, &budget, {}};
  if (!has_memory_budget_) return memory_.memoryHeaps[heap].size;
  physical_.fn->vkGetPhysicalDeviceMemoryProperties2(physical_.handle, &properties);
  return budget.heapBudget[heap] - std::min(budget.heapBudget[heap], budget.heapUsage[heap]);
}

DeviceBudget Device::budget() const { return read_budget(physical_, memory_, has_memory_budget_); }

void Device::wait_idle() const {
  static_cast<void>(compute_->wait_for_all());
  static_cast<void>(transfer_->wait_for_all());
}

Device::~Device() {
  compute_.reset();
  transfer_.reset();
  if (owned_ && fn_.vkDestroyDevice != nullptr) fn_.vkDestroyDevice(device_, nullptr);
}

}  // namespace hotset
