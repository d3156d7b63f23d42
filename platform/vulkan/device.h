// The Vulkan device: instance, one physical device, its queues and limits.
//
// A Device is opened once and outlives everything made from it. Its const calls may come from any thread; a Queue takes
// submits from any thread (it locks). Requires Vulkan 1.3 with buffer device addresses, timeline semaphores,
// 64-bit integers and 16-bit storage in shaders: see missing_features in device.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "platform/status.h"
#include "platform/vulkan/device_report.h"
#include "platform/vulkan/queue.h"
#include "platform/vulkan/vk.h"

namespace hotset {

struct Seams;

struct DeviceOptions {
  std::string selector = "auto";  // "auto", an index of report_devices(), or part of a device's name
  bool validation = false;        // load VK_LAYER_KHRONOS_validation; error when it is not installed
  const Seams* seams = nullptr;   // for tests: platform/seams.h
};

struct DeviceLimits {
  bool software = false;             // a CPU device
  bool unified = false;              // host and device share all memory: software, integrated
  uint32_t subgroup_size = 0;        // lanes; what pipelines are compiled for
  uint32_t max_workgroup_size = 0;   // invocations
  uint32_t max_workgroups_x = 0;     // of one dispatch
  uint32_t max_workgroups_y = 0;
  uint32_t max_workgroups_z = 0;
  uint32_t max_shared_bytes = 0;
  uint64_t max_allocation_bytes = 0;
  uint64_t max_buffer_bytes = 0;
  uint64_t host_import_alignment_bytes = 0;  // of memory for HostImport; 0: the driver imports none
  float timestamp_period_ns = 0;     // 0: no timestamps on the compute queue
};

// Free and total bytes of the largest device-local heap.
struct DeviceBudget {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;        // what the driver would still give this process
  bool from_driver = false;       // VK_EXT_memory_budget is present; else free is the heap's size
  uint64_t process_used_bytes = 0;  // what the driver says this process holds; 0 without the extension
};

class Device {
 public:
  static Result<std::unique_ptr<Device>> open(const DeviceOptions& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const VolkDeviceTable& fn() const { return fn_; }
  VkDevice handle() const { return device_; }
  VkPhysicalDevice physical() const { return physical_; }
  const DeviceLimits& limits() const { return limits_; }
  const std::string& name() const { return name_; }
  const VkPhysicalDeviceMemoryProperties& memory_properties() const { return memory_; }
  DeviceBudget budget() const;
  // What the driver would still give this process of one memory heap; the heap's size where it does not say.
  uint64_t heap_free_bytes(uint32_t heap) const;
  // Until the device has done all that was submitted, or is lost. No thread may submit meanwhile.
  void wait_idle() const;
  // Names this device and driver build: file name of the pipeline cache.
  const std::string& cache_key() const { return cache_key_; }

  Queue& compute() { return *compute_; }
  Queue& transfer() { return *transfer_; }  // its own queue where the device has one, else aliased with compute()
  // The device lets a pipeline name its subgroup size (it may have several).
  bool can_require_subgroup_size() const { return subgroup_stages_ok_; }
  bool has_own_transfer_queue() const { return own_transfer_; }

 private:
  Device() = default;
  Status create(VkPhysicalDevice physical, const Seams* seams);
  Status create_queues();
  void read_limits();
  void read_memory_limits();

  VkInstance instance_ = VK_NULL_HANDLE;
  VkPhysicalDevice physical_ = VK_NULL_HANDLE;
  VkDevice device_ = VK_NULL_HANDLE;
  VolkDeviceTable fn_ = {};
  VkPhysicalDeviceMemoryProperties memory_ = {};
  DeviceLimits limits_;
  std::string name_;
  std::string cache_key_;
  bool has_memory_budget_ = false;
  bool has_host_import_ = false;
  bool own_transfer_ = false;
  bool subgroup_stages_ok_ = false;
  uint32_t compute_family_ = 0;
  uint32_t transfer_family_ = 0;
  std::unique_ptr<Queue> compute_;
  std::unique_ptr<Queue> transfer_;
};

// Every Vulkan device of the machine. Error: no Vulkan loader or no driver.
Result<std::vector<DeviceReport>> report_devices();

}  // namespace hotset
