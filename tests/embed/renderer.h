// Renderer: a program's own Vulkan device, which draws a turning triangle offscreen. It knows nothing of Hotset but what its device is made with.
#pragma once

#include <hotset/hotset_vulkan.h>
#include <vulkan/vulkan.h>

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

class Renderer {
 public:
  static constexpr uint32_t kWidth = 1280, kHeight = 720;

  // With `validate`, under the validation layers.
  explicit Renderer(bool validate);
  ~Renderer();
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  // The device as Hotset takes it; points into this object. The queue is shared, under a lock.
  hotset_vulkan_device shared();
  // Draws frame `number` and waits until it is done.
  void draw(uint32_t number);
  // The pixel in the middle of the last frame.
  uint32_t middle() const { return *middle_; }
  // What the validation layers said so far.
  uint32_t complaints() const { return complaints_; }
  const char* device_name() const { return properties_.deviceName; }

 private:
  void make_instance(bool validate);
  void make_device();
  void make_target();
  void make_pipeline();
  void make_commands();
  VkShaderModule make_module(const uint32_t* words, size_t bytes);
  uint32_t memory_type(uint32_t allowed, VkMemoryPropertyFlags wanted);
  void record(uint32_t number);
  void barrier(VkImageLayout from, VkImageLayout to, VkPipelineStageFlags2 stage, VkAccessFlags2 access);

  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  VkPhysicalDevice physical_ = VK_NULL_HANDLE;
  VkPhysicalDeviceProperties properties_ = {};
  hotset_vulkan_needs needs_ = {};
  VkDeviceQueueCreateInfo queues_ = {};
  VkDeviceCreateInfo created_with_ = {};
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  std::mutex queue_lock_;
  VkImage image_ = VK_NULL_HANDLE;
  VkImageView view_ = VK_NULL_HANDLE;
  VkBuffer buffer_ = VK_NULL_HANDLE;
  VkDeviceMemory image_memory_ = VK_NULL_HANDLE, buffer_memory_ = VK_NULL_HANDLE;
  const uint32_t* middle_ = nullptr;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkPipeline pipeline_ = VK_NULL_HANDLE;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkFence fence_ = VK_NULL_HANDLE;
  uint32_t complaints_ = 0;
};
