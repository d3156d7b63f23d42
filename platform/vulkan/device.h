// The Vulkan device: instance, one physical device, its queues and limits. Hotset's own, or one that the caller made, of which it uses the
// queues that it was given, under the caller's lock, and destroys nothing.
//
// A Device is opened once and outlives everything made from it. Its const calls may come from any thread; a Queue takes
// submits from any thread (it locks). Requires Vulkan 1.3 with buffer device addresses, timeline semaphores,
// 64-bit integers and 16-bit storage in shaders: see features.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "platform/status.h"
#include "platform/vulkan/caller_device.h"
#include "platform/vulkan/device_report.h"
#include "platform/vulkan/instance.h"
#include "platform/vulkan/queue.h"

namespace hotset {

struct Seams;

struct DeviceOptions {
  std::string selector = "auto";  // "auto", an index of report_devices(), or part of a device's name
  bool validation = false;        // load VK_LAYER_KHRONOS_validation; error when it is not installed
  const Seams* seams = nullptr;   // for tests: platform/seams.h
  bool low_priority = false;      // queues that give way to other programs, where the driver knows such
  const CallerDevice* caller = nullptr;  // this device, in place of one of Hotset's own; read while opening
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
  uint32_t timestamp_bits = 0;       // that count, of a timestamp there
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

  const DeviceFunctions& fn() const { return fn_; }
  VkDevice handle() const { return device_; }
  const Instance& instance() const { return *instance_; }
  PhysicalDevice physical() const { return physical_; }
  // For all that is made and destroyed with the device's functions; nullptr: the driver's own.
  const VkAllocationCallbacks* allocator() const { return has_allocator_ ? &allocator_ : nullptr; }
  const DeviceLimits& limits() const { return limits_; }
  const std::string& name() const { return name_; }
  const VkPhysicalDeviceMemoryProperties& memory_properties() const { return memory_; }
  DeviceBudget budget() const;
  // What the driver would still give this process of one memory heap; the heap's size where it does not say.
  uint64_t heap_free_bytes(uint32_t heap) const;
  // Until the device has done all that was submitted through this object, or is lost; what others submit is not waited for. No thread may
  // submit meanwhile.
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
  Status create(const DeviceOptions& options);
  Status adopt(const CallerDevice& caller);
  // Makes the VkDevice, its queues as low as `priority` says.
  Status create_device(const VkDeviceQueueGlobalPriorityCreateInfoKHR* priority, const std::vector<const char*>& extensions);
  Status load(const Seams* seams);
  Status create_queues(const CallerDevice* caller);
  void read_limits();
  void read_memory_limits();

  std::unique_ptr<Instance> instance_;
  PhysicalDevice physical_;
  VkDevice device_ = VK_NULL_HANDLE;
  bool owned_ = true;  // device_, by this object
  VkAllocationCallbacks allocator_ = {};
  bool has_allocator_ = false;
  DeviceFunctions fn_ = {};
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
