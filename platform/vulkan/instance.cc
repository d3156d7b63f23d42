#include "platform/vulkan/instance.h"

#include <cstring>
#include <mutex>

namespace hotset {
namespace {

// volk keeps the loader's entry points in globals. Those of the first instance are the loader's trampolines, which serve
// every instance: filled once, under this lock, they never change under another thread's call.
std::mutex& loader_lock() {
  static std::mutex lock;
  return lock;
}

#ifdef _WIN32
constexpr const char* kNoLoader = "no Vulkan loader (vulkan-1.dll): install the GPU's driver, which brings it";
#else
constexpr const char* kNoLoader = "no Vulkan loader (libvulkan.so.1): install libvulkan1 and a Vulkan driver, or run ./setup";
#endif
constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

bool has_layer(const char* name) {
  uint32_t count = 0;
  vkEnumerateInstanceLayerProperties(&count, nullptr);
  std::vector<VkLayerProperties> layers(count);
  vkEnumerateInstanceLayerProperties(&count, layers.data());
  for (const auto& layer : layers) {
    if (std::strcmp(layer.layerName, name) == 0) return true;
  }
  return false;
}

// Without it the loader hides drivers that are layered over another interface, as on macOS.
bool has_portability() {
  uint32_t count = 0;
  vkEnumerateInstanceExtensionProperties(nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> extensions(count);
  vkEnumerateInstanceExtensionProperties(nullptr, &count, extensions.data());
  for (const auto& extension : extensions) {
    if (std::strcmp(extension.extensionName, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME) == 0) return true;
  }
  return false;
}

}  // namespace

Result<VkInstance> create_instance(bool validation) {
  std::lock_guard guard(loader_lock());
  if (volkInitialize() != VK_SUCCESS) {
    return error(Code::kNotFound, kNoLoader);
  }
  VkApplicationInfo app = {VK_STRUCTURE_TYPE_APPLICATION_INFO};
  app.pApplicationName = "hotset";
  app.pEngineName = "hotset";
  app.apiVersion = VK_API_VERSION_1_3;
  VkInstanceCreateInfo info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &app;
  const char* portability = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
  if (has_portability()) {
    info.flags = VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    info.enabledExtensionCount = 1;
    info.ppEnabledExtensionNames = &portability;
  }
  // Synchronization validation is asked for together with the core checks.
  const VkValidationFeatureEnableEXT enables[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
  VkValidationFeaturesEXT features = {VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT};
  features.enabledValidationFeatureCount = 1;
  features.pEnabledValidationFeatures = enables;
  if (validation) {
    if (!has_layer(kValidationLayer)) {
      return error(Code::kNotFound, "the Vulkan validation layer is not installed: install vulkan-validationlayers");
    }
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &kValidationLayer;
    info.pNext = &features;
  }
  VkInstance instance = VK_NULL_HANDLE;
  const VkResult result = vkCreateInstance(&info, nullptr, &instance);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
    return error(Code::kNotFound, "no Vulkan driver found: install the GPU's driver, or mesa-vulkan-drivers for a software device");
  }
  HOTSET_VK("vkCreateInstance", result);
  static bool loaded = false;  // guarded by loader_lock
  if (!loaded) volkLoadInstanceOnly(instance);
  loaded = true;
  return instance;
}

void destroy_instance(VkInstance instance) {
  if (instance != VK_NULL_HANDLE) vkDestroyInstance(instance, nullptr);
}

Result<std::vector<VkPhysicalDevice>> physical_devices(VkInstance instance) {
  uint32_t count = 0;
  HOTSET_VK("vkEnumeratePhysicalDevices", vkEnumeratePhysicalDevices(instance, &count, nullptr));
  std::vector<VkPhysicalDevice> devices(count);
  HOTSET_VK("vkEnumeratePhysicalDevices", vkEnumeratePhysicalDevices(instance, &count, devices.data()));
  if (devices.empty()) {
    return error(Code::kNotFound, "no Vulkan device found: install the GPU's driver, or mesa-vulkan-drivers for a software device");
  }
  return devices;
}

bool has_device_extension(VkPhysicalDevice device, const char* name) {
  uint32_t count = 0;
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> extensions(count);
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, extensions.data());
  for (const auto& extension : extensions) {
    if (std::strcmp(extension.extensionName, name) == 0) return true;
  }
  return false;
}

}  // namespace hotset
