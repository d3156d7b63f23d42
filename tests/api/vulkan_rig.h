// VulkanRig: a program with a Vulkan device of its own, made as hotset_vulkan.h says, that watches what is done with it.
//
// One at a time: entry points carry no context of their own.
#pragma once

#include <doctest/doctest.h>

#include <hotset/hotset.hpp>
#include <hotset/hotset_vulkan.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "platform/vulkan/functions.h"

namespace hotset::test {

class VulkanRig {
 public:
  struct Seen {
    std::atomic<uint64_t> submits{0};
    std::atomic<uint64_t> unguarded{0};   // submits outside the lock
    std::atomic<uint64_t> idle_waits{0};  // of the device or a queue
    std::atomic<uint64_t> destroyed{0};   // devices and instances
    std::atomic<uint64_t> locks{0};
    std::atomic<uint64_t> unlocks{0};
    std::atomic<uint64_t> allocations{0};
    std::atomic<int64_t> allocated{0};    // and not freed
  };

  VulkanRig() {
    REQUIRE(active_ == nullptr);
    active_ = this;
    auto loader = load_vulkan();
    REQUIRE(loader.ok());
    get_ = loader->get;
    make_instance();
    needs.size = sizeof needs;
    hotset_error said = HOTSET_ERROR_INIT;
    REQUIRE_MESSAGE(hotset_vulkan_get_needs(&get_instance_function, instance_, physical_, &needs, &said) == HOTSET_OK, said.message);
    make_device();
  }
  ~VulkanRig() {
    call<PFN_vkDestroyDevice>("vkDestroyDevice")(device_, nullptr);
    reinterpret_cast<PFN_vkDestroyInstance>(get_(instance_, "vkDestroyInstance"))(instance_, nullptr);
    active_ = nullptr;
  }
  VulkanRig(const VulkanRig&) = delete;
  VulkanRig& operator=(const VulkanRig&) = delete;

  // What hotset_engine_open_vulkan takes; points into the rig.
  hotset_vulkan_device given() {
    hotset_vulkan_device out = HOTSET_VULKAN_DEVICE_INIT;
    out.get_instance_proc_addr = &get_instance_function;
    out.instance = instance_;
    out.physical_device = physical_;
    out.device = device_;
    out.created_with = &created_with;
    out.compute_family = needs.compute_family;
    out.compute_queue = queue_;
    out.lock = [](void* user, VkQueue) { static_cast<VulkanRig*>(user)->lock(); };
    out.unlock = [](void* user, VkQueue) { static_cast<VulkanRig*>(user)->unlock(); };
    out.lock_user = this;
    return out;
  }

  api::engine open(const hotset_vulkan_device& device, const api::options& options) {
    hotset_engine_params params = HOTSET_ENGINE_PARAMS_INIT;
    params.options = options.handle();
    hotset_engine* engine = nullptr;
    hotset_error said = HOTSET_ERROR_INIT;
    REQUIRE_MESSAGE(hotset_engine_open_vulkan(&params, &device, &engine, &said) == HOTSET_OK, said.message);
    return api::engine(engine);
  }

  const VkAllocationCallbacks* counting_allocator() const { return &allocator_; }

  // The program's own work on its queue: an empty submit, waited for.
  VkResult use_queue() {
    const std::lock_guard guard(mutex_);
    const VkResult submitted = call<PFN_vkQueueSubmit2>("vkQueueSubmit2")(queue_, 0, nullptr, VK_NULL_HANDLE);
    return submitted != VK_SUCCESS ? submitted : call<PFN_vkQueueWaitIdle>("vkQueueWaitIdle")(queue_);
  }

  hotset_vulkan_needs needs;
  VkDeviceCreateInfo created_with = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  VkDeviceQueueCreateInfo queues = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  Seen seen;
  std::atomic<int> submits_until_lost{-1};  // then the device is lost, until this is -1 again

 private:
  template <class Function>
  Function call(const char* name) const {
    const auto find = reinterpret_cast<PFN_vkGetDeviceProcAddr>(get_(instance_, "vkGetDeviceProcAddr"));
    return reinterpret_cast<Function>(find(device_, name));
  }

  void make_instance() {
    VkApplicationInfo app = {VK_STRUCTURE_TYPE_APPLICATION_INFO};
    app.apiVersion = VK_API_VERSION_1_3;
    VkInstanceCreateInfo info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
    info.pApplicationInfo = &app;
    REQUIRE(reinterpret_cast<PFN_vkCreateInstance>(get_(VK_NULL_HANDLE, "vkCreateInstance"))(&info, nullptr, &instance_) == VK_SUCCESS);
    uint32_t count = 1;
    reinterpret_cast<PFN_vkEnumeratePhysicalDevices>(get_(instance_, "vkEnumeratePhysicalDevices"))(instance_, &count, &physical_);
    REQUIRE(count == 1);
  }

  void make_device() {
    queues.queueFamilyIndex = needs.compute_family;
    queues.queueCount = 1;
    queues.pQueuePriorities = &priority_;
    created_with.pNext = &needs.features;
    created_with.queueCreateInfoCount = 1;
    created_with.pQueueCreateInfos = &queues;
    created_with.enabledExtensionCount = needs.wanted_extension_count;
    created_with.ppEnabledExtensionNames = needs.wanted_extensions;
    const auto create = reinterpret_cast<PFN_vkCreateDevice>(get_(instance_, "vkCreateDevice"));
    REQUIRE(create(physical_, &created_with, nullptr, &device_) == VK_SUCCESS);
    call<PFN_vkGetDeviceQueue>("vkGetDeviceQueue")(device_, needs.compute_family, 0, &queue_);
    real_submit_ = call<PFN_vkQueueSubmit2>("vkQueueSubmit2");
  }

  void lock() {
    mutex_.lock();
    ++seen.locks;
    held_ = true;
  }
  void unlock() {
    held_ = false;
    ++seen.unlocks;
    mutex_.unlock();
  }

  // --- what the library gets in place of the driver's

  static PFN_vkVoidFunction VKAPI_CALL get_instance_function(VkInstance instance, const char* name) {
    if (std::strcmp(name, "vkGetDeviceProcAddr") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&get_device_function);
    if (std::strcmp(name, "vkDestroyInstance") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&destroy_instance);
    return active_->get_(instance, name);
  }
  static PFN_vkVoidFunction VKAPI_CALL get_device_function(VkDevice, const char* name) {
    if (std::strcmp(name, "vkQueueSubmit2") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&submit);
    if (std::strcmp(name, "vkDeviceWaitIdle") == 0 || std::strcmp(name, "vkQueueWaitIdle") == 0) {
      return reinterpret_cast<PFN_vkVoidFunction>(&wait_idle);
    }
    if (std::strcmp(name, "vkDestroyDevice") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&destroy_device);
    return active_->call<PFN_vkVoidFunction>(name);
  }
  static VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo2* info, VkFence fence) {
    ++active_->seen.submits;
    if (!active_->held_) ++active_->seen.unguarded;
    int left = active_->submits_until_lost;
    if (left == 0) return VK_ERROR_DEVICE_LOST;
    if (left > 0) active_->submits_until_lost = left - 1;
    return active_->real_submit_(queue, count, info, fence);
  }
  static VkResult VKAPI_CALL wait_idle(void*) {
    ++active_->seen.idle_waits;
    return VK_SUCCESS;
  }
  static void VKAPI_CALL destroy_device(VkDevice, const VkAllocationCallbacks*) { ++active_->seen.destroyed; }
  static void VKAPI_CALL destroy_instance(VkInstance, const VkAllocationCallbacks*) { ++active_->seen.destroyed; }

  // A header before each block says where the block began and how long it is.
  struct Header {
    void* start;
    size_t size;
  };
  static void* VKAPI_CALL allocate(void* user, size_t size, size_t alignment, VkSystemAllocationScope) {
    auto* rig = static_cast<VulkanRig*>(user);
    const size_t unit = std::max(alignment, alignof(Header));
    void* start = std::malloc(sizeof(Header) + unit + size);
    if (start == nullptr) return nullptr;
    const uintptr_t at = (reinterpret_cast<uintptr_t>(start) + sizeof(Header) + unit - 1) / unit * unit;
    reinterpret_cast<Header*>(at)[-1] = {start, size};
    ++rig->seen.allocations;
    ++rig->seen.allocated;
    return reinterpret_cast<void*>(at);
  }
  static void VKAPI_CALL release(void* user, void* block) {
    if (block == nullptr) return;
    --static_cast<VulkanRig*>(user)->seen.allocated;
    std::free(static_cast<Header*>(block)[-1].start);
  }
  static void* VKAPI_CALL reallocate(void* user, void* block, size_t size, size_t alignment, VkSystemAllocationScope scope) {
    void* made = size == 0 ? nullptr : allocate(user, size, alignment, scope);
    if (made && block) std::memcpy(made, block, std::min(size, static_cast<Header*>(block)[-1].size));
    if (made || size == 0) release(user, block);
    return made;
  }

  inline static VulkanRig* active_ = nullptr;
  PFN_vkGetInstanceProcAddr get_ = nullptr;
  VkInstance instance_ = VK_NULL_HANDLE;
  VkPhysicalDevice physical_ = VK_NULL_HANDLE;
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  PFN_vkQueueSubmit2 real_submit_ = nullptr;
  float priority_ = 1.0f;
  std::mutex mutex_;
  std::atomic<bool> held_{false};
  VkAllocationCallbacks allocator_ = {this, &allocate, &reallocate, &release, nullptr, nullptr};
};

}  // namespace hotset::test
