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
#include <map>
#include <mutex>
#include <span>

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
    std::atomic<uint64_t> most_copied_bytes{0};  // by one submit
  };

  // `as_card`: a device whose memory is all of one kind looks like a card with memory of its own, which the host does not see.
  explicit VulkanRig(bool as_card = false) : as_card_(as_card) {
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
    if (active_->as_card_) {
      const PFN_vkVoidFunction of_card = card_instance_function(name);
      if (of_card) return of_card;
    }
    return active_->get_(instance, name);
  }
  static PFN_vkVoidFunction VKAPI_CALL get_device_function(VkDevice, const char* name) {
    if (std::strcmp(name, "vkQueueSubmit2") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&submit);
    if (std::strcmp(name, "vkDeviceWaitIdle") == 0 || std::strcmp(name, "vkQueueWaitIdle") == 0) {
      return reinterpret_cast<PFN_vkVoidFunction>(&wait_idle);
    }
    if (std::strcmp(name, "vkDestroyDevice") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&destroy_device);
    if (std::strcmp(name, "vkBeginCommandBuffer") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&begin);
    if (std::strcmp(name, "vkCmdCopyBuffer") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&copy);
    if (active_->as_card_ && std::strcmp(name, "vkGetBufferMemoryRequirements") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&buffer_needs);
    if (active_->as_card_ && std::strcmp(name, "vkGetDeviceBufferMemoryRequirements") == 0) {
      return reinterpret_cast<PFN_vkVoidFunction>(&device_buffer_needs);
    }
    if (active_->as_card_ && std::strcmp(name, "vkAllocateMemory") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&allocate_memory);
    return active_->call<PFN_vkVoidFunction>(name);
  }
  static VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo2* info, VkFence fence) {
    ++active_->seen.submits;
    if (!active_->held_) ++active_->seen.unguarded;
    active_->note_copies({info, count});
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

  // --- copies, by command buffer

  static VkResult VKAPI_CALL begin(VkCommandBuffer commands, const VkCommandBufferBeginInfo* info) {
    const std::lock_guard guard(active_->copies_mutex_);
    active_->copied_bytes_[commands] = 0;
    return active_->call<PFN_vkBeginCommandBuffer>("vkBeginCommandBuffer")(commands, info);
  }
  static void VKAPI_CALL copy(VkCommandBuffer commands, VkBuffer from, VkBuffer to, uint32_t count, const VkBufferCopy* regions) {
    const std::lock_guard guard(active_->copies_mutex_);
    for (uint32_t i = 0; i < count; ++i) active_->copied_bytes_[commands] += regions[i].size;
    active_->call<PFN_vkCmdCopyBuffer>("vkCmdCopyBuffer")(commands, from, to, count, regions);
  }
  void note_copies(std::span<const VkSubmitInfo2> submits) {
    const std::lock_guard guard(copies_mutex_);
    uint64_t bytes = 0;
    for (const VkSubmitInfo2& submit : submits) {
      for (uint32_t i = 0; i < submit.commandBufferInfoCount; ++i) bytes += copied_bytes_[submit.pCommandBufferInfos[i].commandBuffer];
    }
    seen.most_copied_bytes = std::max<uint64_t>(seen.most_copied_bytes, bytes);
  }

  // --- a card: type 0 is its memory, type 1 the host's; both are the one that there is

  template <class Function>
  Function instance_call(const char* name) const {
    return reinterpret_cast<Function>(get_(instance_, name));
  }
  static PFN_vkVoidFunction card_instance_function(const char* name) {
    if (std::strcmp(name, "vkGetPhysicalDeviceProperties") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&properties);
    if (std::strcmp(name, "vkGetPhysicalDeviceProperties2") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&properties2);
    if (std::strcmp(name, "vkGetPhysicalDeviceMemoryProperties") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&memory_properties);
    if (std::strcmp(name, "vkGetPhysicalDeviceMemoryProperties2") == 0) return reinterpret_cast<PFN_vkVoidFunction>(&memory_properties2);
    return nullptr;
  }
  static void VKAPI_CALL properties(VkPhysicalDevice device, VkPhysicalDeviceProperties* out) {
    active_->instance_call<PFN_vkGetPhysicalDeviceProperties>("vkGetPhysicalDeviceProperties")(device, out);
    out->deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  }
  static void VKAPI_CALL properties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2* out) {
    active_->instance_call<PFN_vkGetPhysicalDeviceProperties2>("vkGetPhysicalDeviceProperties2")(device, out);
    out->properties.deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  }
  static void make_card(VkPhysicalDeviceMemoryProperties& memory) {
    if (memory.memoryTypeCount != 1) return;
    memory.memoryTypeCount = memory.memoryHeapCount = 2;
    memory.memoryTypes[0] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
    memory.memoryTypes[1] = {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 1};
    memory.memoryHeaps[1] = {memory.memoryHeaps[0].size, 0};
  }
  static void VKAPI_CALL memory_properties(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties* out) {
    active_->instance_call<PFN_vkGetPhysicalDeviceMemoryProperties>("vkGetPhysicalDeviceMemoryProperties")(device, out);
    active_->has_one_type_ = out->memoryTypeCount == 1;
    make_card(*out);
  }
  static void VKAPI_CALL memory_properties2(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2* out) {
    active_->instance_call<PFN_vkGetPhysicalDeviceMemoryProperties2>("vkGetPhysicalDeviceMemoryProperties2")(device, out);
    make_card(out->memoryProperties);
    auto* budget = static_cast<VkPhysicalDeviceMemoryBudgetPropertiesEXT*>(out->pNext);
    if (budget && budget->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT && active_->has_one_type_) {
      budget->heapBudget[1] = budget->heapBudget[0];
    }
  }
  static void VKAPI_CALL buffer_needs(VkDevice device, VkBuffer buffer, VkMemoryRequirements* out) {
    active_->call<PFN_vkGetBufferMemoryRequirements>("vkGetBufferMemoryRequirements")(device, buffer, out);
    if (active_->has_one_type_) out->memoryTypeBits = 3;
  }
  static void VKAPI_CALL device_buffer_needs(VkDevice device, const VkDeviceBufferMemoryRequirements* info, VkMemoryRequirements2* out) {
    active_->call<PFN_vkGetDeviceBufferMemoryRequirements>("vkGetDeviceBufferMemoryRequirements")(device, info, out);
    if (active_->has_one_type_) out->memoryRequirements.memoryTypeBits = 3;
  }
  static VkResult VKAPI_CALL allocate_memory(VkDevice device, const VkMemoryAllocateInfo* info, const VkAllocationCallbacks* allocator,
                                             VkDeviceMemory* memory) {
    VkMemoryAllocateInfo real = *info;
    if (active_->has_one_type_) real.memoryTypeIndex = 0;
    return active_->call<PFN_vkAllocateMemory>("vkAllocateMemory")(device, &real, allocator, memory);
  }

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
  const bool as_card_;
  bool has_one_type_ = false;
  std::mutex copies_mutex_;
  std::map<VkCommandBuffer, uint64_t> copied_bytes_;  // recorded, guarded by copies_mutex_
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
