// A Vulkan instance: Hotset's own, or that of the program around it.
//
// It outlives the devices that were found through it. Immutable: any thread may ask.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "platform/status.h"
#include "platform/vulkan/functions.h"

namespace hotset {

class Instance {
 public:
  // Loads libvulkan and makes an instance of Vulkan 1.3. Error: no loader, no driver, layer not installed.
  static Result<std::unique_ptr<Instance>> create(bool validation);
  // One of the caller's, which stays the caller's. Error: it was made for an older Vulkan.
  static Result<std::unique_ptr<Instance>> adopt(VkInstance instance, PFN_vkGetInstanceProcAddr get);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const InstanceFunctions& fn() const { return fn_; }
  VkInstance handle() const { return instance_; }
  // In the loader's order; never empty. Error: none.
  Result<std::vector<PhysicalDevice>> physical_devices() const;

 private:
  Instance(VkInstance instance, bool owned) : instance_(instance), owned_(owned) {}

  const VkInstance instance_;
  const bool owned_;
  InstanceFunctions fn_;
};

bool has_device_extension(PhysicalDevice device, const char* name);

}  // namespace hotset
