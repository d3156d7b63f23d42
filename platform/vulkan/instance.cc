#include "platform/vulkan/instance.h"

#include <cstring>

namespace hotset {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

bool has_layer(PFN_vkGetInstanceProcAddr get, const char* name) {
  const auto enumerate = reinterpret_cast<PFN_vkEnumerateInstanceLayerProperties>(get(VK_NULL_HANDLE, "vkEnumerateInstanceLayerProperties"));
  uint32_t count = 0;
  if (enumerate == nullptr || enumerate(&count, nullptr) != VK_SUCCESS) return false;
  std::vector<VkLayerProperties> layers(count);
  enumerate(&count, layers.data());
  for (const auto& layer : layers) {
    if (std::strcmp(layer.layerName, name) == 0) return true;
  }
  return false;
}

// Without it the loader hides drivers that are layered over another interface, as on macOS.
bool has_portability(PFN_vkGetInstanceProcAddr get) {
  const auto enumerate = reinterpret_cast<PFN_vkEnumerateInstanceExtensionProperties>(get(VK_NULL_HANDLE, "vkEnumerateInstanceExtensionProperties"));
  uint32_t count = 0;
  if (enumerate == nullptr || enumerate(nullptr, &count, nullptr) != VK_SUCCESS) return false;
  std::vector<VkExtensionProperties> extensions(count);
  enumerate(nullptr, &count, extensions.data());
  for (const auto& extension : extensions) {
    if (std::strcmp(extension.extensionName, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME) == 0) return true;
  }
  return false;
}

Result<VkInstance> create_instance(PFN_vkGetInstanceProcAddr get, bool validation) {
  VkApplicationInfo app = {VK_STRUCTURE_TYPE_APPLICATION_INFO};
  app.pApplicationName = "hotset";
  app.pEngineName = "hotset";
  app.apiVersion = VK_API_VERSION_1_3;
  VkInstanceCreateInfo info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &app;
  const char* portability = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
  if (has_portability(get)) {
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
    if (!has_layer(get, kValidationLayer)) {
      return error(Code::kNotFound, "the Vulkan validation layer is not installed: install vulkan-validationlayers");
    }
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &kValidationLayer;
    info.pNext = &features;
  }
  const auto create = reinterpret_cast<PFN_vkCreateInstance>(get(VK_NULL_HANDLE, "vkCreateInstance"));
  VkInstance instance = VK_NULL_HANDLE;
  const VkResult result = create != nullptr ? create(&info, nullptr, &instance) : VK_ERROR_INCOMPATIBLE_DRIVER;
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
    return error(Code::kNotFound, "no Vulkan driver found: install the GPU's driver, or mesa-vulkan-drivers for a software device");
  }
  HOTSET_VK("vkCreateInstance", result);
  return instance;
}

}  // namespace

Result<std::unique_ptr<Instance>> Instance::create(bool validation) {
  HOTSET_ASSIGN(const VulkanLoader loader, load_vulkan());
  HOTSET_ASSIGN(const VkInstance made, create_instance(loader.get, validation));
  std::unique_ptr<Instance> instance(new Instance(made, true));
  HOTSET_RETURN_IF_ERROR(load_functions(loader.get, made, instance->fn_));
  return instance;
}

Result<std::unique_ptr<Instance>> Instance::adopt(VkInstance given, PFN_vkGetInstanceProcAddr get) {
  std::unique_ptr<Instance> instance(new Instance(given, false));
  HOTSET_RETURN_IF_ERROR(load_functions(get, given, instance->fn_));
  return instance;
}

Instance::~Instance() {
  if (owned_ && fn_.vkDestroyInstance != nullptr) fn_.vkDestroyInstance(instance_, nullptr);
}

Result<std::vector<PhysicalDevice>> Instance::physical_devices() const {
  uint32_t count = 0;
  HOTSET_VK("vkEnumeratePhysicalDevices", fn_.vkEnumeratePhysicalDevices(instance_, &count, nullptr));
  std::vector<VkPhysicalDevice> handles(count);
  HOTSET_VK("vkEnumeratePhysicalDevices", fn_.vkEnumeratePhysicalDevices(instance_, &count, handles.data()));
  if (handles.empty()) {
    return error(Code::kNotFound, "no Vulkan device found: install the GPU's driver, or mesa-vulkan-drivers for a software device");
  }
  std::vector<PhysicalDevice> devices;
  for (const VkPhysicalDevice handle : handles) devices.push_back({&fn_, handle});
  return devices;
}

bool has_device_extension(PhysicalDevice device, const char* name) {
  uint32_t count = 0;
  device.fn->vkEnumerateDeviceExtensionProperties(device.handle, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> extensions(count);
  device.fn->vkEnumerateDeviceExtensionProperties(device.handle, nullptr, &count, extensions.data());
  for (const auto& extension : extensions) {
    if (std::strcmp(extension.extensionName, name) == 0) return true;
  }
  return false;
}

}  // namespace hotset
