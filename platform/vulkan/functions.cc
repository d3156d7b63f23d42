#include "platform/vulkan/functions.h"

#include "platform/vulkan_library.h"

namespace hotset {
namespace {

Status lacks(const char* who, const char* name) {
  return error(Code::kUnsupported, "the %s has no %s: Hotset wants one made for Vulkan 1.3 (VkApplicationInfo::apiVersion)", who, name);
}

}  // namespace

Result<VulkanLoader> load_vulkan() {
  const auto get = reinterpret_cast<PFN_vkGetInstanceProcAddr>(find_in_vulkan_library("vkGetInstanceProcAddr"));
  if (get != nullptr) return VulkanLoader{get};
  return error(Code::kNotFound, "no Vulkan loader (%s): install it and a Vulkan driver, or run ./setup", vulkan_library_name());
}

#define HOTSET_LOAD(name)                                         \
  out.name = reinterpret_cast<PFN_##name>(get(owner, #name));     \
  if (out.name == nullptr) return lacks(what, #name);
#define HOTSET_LOAD_IF_THERE(name) out.name = reinterpret_cast<PFN_##name>(get(owner, #name));

Status load_functions(PFN_vkGetInstanceProcAddr get, VkInstance owner, InstanceFunctions& out) {
  constexpr const char* what = "VkInstance";
  HOTSET_INSTANCE_FUNCTIONS(HOTSET_LOAD)
  return ok_status();
}

Status load_functions(const InstanceFunctions& instance, VkDevice owner, DeviceFunctions& out) {
  constexpr const char* what = "VkDevice";
  const PFN_vkGetDeviceProcAddr get = instance.vkGetDeviceProcAddr;
  HOTSET_DEVICE_FUNCTIONS(HOTSET_LOAD)
  HOTSET_DEVICE_EXTENSION_FUNCTIONS(HOTSET_LOAD_IF_THERE)
  return ok_status();
}

#undef HOTSET_LOAD
#undef HOTSET_LOAD_IF_THERE

}  // namespace hotset
