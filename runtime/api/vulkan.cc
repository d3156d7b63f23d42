// The C functions of hotset_vulkan.h: an engine on a Vulkan device of the program's own.
#include <hotset/hotset_vulkan.h>

#include "platform/vulkan/features.h"
#include "platform/vulkan/instance.h"
#include "platform/vulkan/queue.h"
#include "runtime/api/calls.h"

namespace {

using namespace hotset;

Result<PhysicalDevice> find_device(const Instance& instance, VkPhysicalDevice wanted) {
  HOTSET_ASSIGN(const auto devices, instance.physical_devices());
  for (const PhysicalDevice& device : devices) {
    if (device.handle == wanted) return device;
  }
  return error(Code::kInvalidArgument, "the VkPhysicalDevice is none of the VkInstance");
}

Status check_usable(PhysicalDevice device) {
  const std::string missing = missing_features(device);
  if (missing.empty()) return ok_status();
  VkPhysicalDeviceProperties properties = {};
  device.fn->vkGetPhysicalDeviceProperties(device.handle, &properties);
  return error(Code::kUnsupported, "the device '%s' lacks %s", properties.deviceName, missing.c_str());
}

void fill_features(hotset_vulkan_needs& needs) {
  needs.features = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &needs.features11, {}};
  needs.features11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, &needs.features12};
  needs.features12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, &needs.features13};
  needs.features13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  HOTSET_CHECK(enable_needed_features(needs.features).ok());
}

Status fill_needs(PhysicalDevice device, hotset_vulkan_needs& needs) {
  const auto families = queue_families(device);
  const int compute = find_compute_family(families);
  const int transfer = find_own_transfer_family(families);
  if (compute < 0) return error(Code::kUnsupported, "the device has no compute queue");
  const size_t size = needs.size;
  needs = {};
  needs.size = size;
  needs.api_version = VK_API_VERSION_1_3;
  needs.compute_family = static_cast<uint32_t>(compute);
  needs.transfer_family = transfer < 0 ? VK_QUEUE_FAMILY_IGNORED : static_cast<uint32_t>(transfer);
  for (const char* name : usable_extensions()) {
    if (has_device_extension(device, name)) needs.wanted_extensions[needs.wanted_extension_count++] = name;
  }
  fill_features(needs);
  return ok_status();
}

CallerDevice caller_of(const hotset_vulkan_device& from) {
  CallerDevice caller;
  caller.get_instance_proc_addr = from.get_instance_proc_addr;
  caller.instance = from.instance;
  caller.physical = from.physical_device;
  caller.device = from.device;
  caller.created_with = from.created_with;
  caller.compute = {from.compute_family, from.compute_queue};
  caller.transfer = {from.transfer_family, from.transfer_queue};
  caller.allocator = from.allocator;
  caller.guard = {from.lock, from.unlock, from.lock_user};
  return caller;
}

}  // namespace

extern "C" {

hotset_code hotset_vulkan_get_needs(PFN_vkGetInstanceProcAddr get_instance_proc_addr, VkInstance instance, VkPhysicalDevice physical_device,
                                    hotset_vulkan_needs* needs, hotset_error* error) {
  return guarded(error, [&]() -> Status {
    if (get_instance_proc_addr == nullptr) return no_argument("get_instance_proc_addr");
    if (instance == VK_NULL_HANDLE) return no_argument("instance");
    if (physical_device == VK_NULL_HANDLE) return no_argument("physical_device");
    if (needs == nullptr) return no_argument("needs");
    if (needs->size < sizeof *needs) return hotset::error(Code::kInvalidArgument, "needs.size is %zu: set it to sizeof", needs->size);
    HOTSET_ASSIGN(const auto adopted, Instance::adopt(instance, get_instance_proc_addr));
    HOTSET_ASSIGN(const PhysicalDevice device, find_device(*adopted, physical_device));
    HOTSET_RETURN_IF_ERROR(check_usable(device));
    return fill_needs(device, *needs);
  });
}

hotset_code hotset_vulkan_enable_features(VkPhysicalDeviceFeatures2* features, hotset_error* error) {
  return guarded(error, [&]() -> Status {
    if (features == nullptr) return no_argument("features");
    if (features->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2) {
      return hotset::error(Code::kInvalidArgument, "features is no VkPhysicalDeviceFeatures2: its sType is another");
    }
    return enable_needed_features(*features);
  });
}

hotset_code hotset_engine_open_vulkan(const hotset_engine_params* params, const hotset_vulkan_device* device, hotset_engine** engine,
                                      hotset_error* error) {
  return guarded(error, [&]() -> Status {
    hotset_engine_params values;
    hotset_vulkan_device given;
    HOTSET_RETURN_IF_ERROR(take(params, values, "params"));
    HOTSET_RETURN_IF_ERROR(take(device, given, "device"));
    if (engine == nullptr) return no_argument("engine");
    const CallerDevice caller = caller_of(given);
    return open_engine(values, &caller, engine);
  });
}

}  // extern "C"
