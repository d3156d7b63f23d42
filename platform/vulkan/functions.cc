#include "platform/vulkan/functions.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace hotset {
namespace {

#ifdef _WIN32
constexpr const char* kLoaders[] = {"vulkan-1.dll"};
void* open_library(const char* name) { return reinterpret_cast<void*>(LoadLibraryA(name)); }
PFN_vkVoidFunction find_symbol(void* library, const char* name) {
  return reinterpret_cast<PFN_vkVoidFunction>(GetProcAddress(static_cast<HMODULE>(library), name));
}
#else
#ifdef __APPLE__
constexpr const char* kLoaders[] = {"libvulkan.dylib", "libvulkan.1.dylib", "libMoltenVK.dylib"};
#else
constexpr const char* kLoaders[] = {"libvulkan.so.1", "libvulkan.so"};
#endif
void* open_library(const char* name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL); }
PFN_vkVoidFunction find_symbol(void* library, const char* name) { return reinterpret_cast<PFN_vkVoidFunction>(dlsym(library, name)); }
#endif

Status lacks(const char* who, const char* name) {
  return error(Code::kUnsupported, "the %s has no %s: Hotset wants one made for Vulkan 1.3 (VkApplicationInfo::apiVersion)", who, name);
}

}  // namespace

Result<VulkanLoader> load_vulkan() {
  for (const char* name : kLoaders) {
    void* library = open_library(name);
    if (library == nullptr) continue;
    const auto get = reinterpret_cast<PFN_vkGetInstanceProcAddr>(find_symbol(library, "vkGetInstanceProcAddr"));
    if (get != nullptr) return VulkanLoader{get};
  }
  return error(Code::kNotFound, "no Vulkan loader (%s): install it and a Vulkan driver, or run ./setup", kLoaders[0]);
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
