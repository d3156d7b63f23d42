#include "platform/vulkan/queue.h"

#include "platform/vulkan/device.h"

namespace hotset {

namespace {

class GuardHold {
 public:
  GuardHold(const QueueGuard& guard, VkQueue queue) : guard_(guard), queue_(queue) {
    if (guard_.lock) guard_.lock(guard_.user, queue_);
  }
  ~GuardHold() {
    if (guard_.unlock) guard_.unlock(guard_.user, queue_);
  }
  GuardHold(const GuardHold&) = delete;
  GuardHold& operator=(const GuardHold&) = delete;

 private:
  const QueueGuard& guard_;
  const VkQueue queue_;
};

}  // namespace

std::vector<VkQueueFamilyProperties> queue_families(PhysicalDevice device) {
  uint32_t count = 0;
  device.fn->vkGetPhysicalDeviceQueueFamilyProperties(device.handle, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  device.fn->vkGetPhysicalDeviceQueueFamilyProperties(device.handle, &count, families.data());
  return families;
}

int find_compute_family(const std::vector<VkQueueFamilyProperties>& families) {
  for (size_t i = 0; i < families.size(); ++i) {
    if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) return static_cast<int>(i);
  }
  return -1;
}

int find_own_transfer_family(const std::vector<VkQueueFamilyProperties>& families) {
  constexpr VkQueueFlags busy = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT | VK_QUEUE_VIDEO_DECODE_BIT_KHR;
  for (size_t i = 0; i < families.size(); ++i) {
    const VkQueueFlags flags = families[i].queueFlags;
    if ((flags & VK_QUEUE_TRANSFER_BIT) && !(flags & busy)) return static_cast<int>(i);
  }
  return -1;
}

Queue::Queue(const Device& device, CallerQueue queue, std::shared_ptr<std::mutex> lock, const QueueGuard& guard)
    : device_(device), queue_(queue.queue), family_(queue.family), lock_(std::move(lock)), guard_(guard) {}

Queue::~Queue() {
  if (timeline_ == VK_NULL_HANDLE) return;
  static_cast<void>(wait_for_all());
  device_.fn().vkDestroySemaphore(device_.handle(), timeline_, device_.allocator());
}

Status Queue::init() {
  VkSemaphoreTypeCreateInfo type = {VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
  HOTSET_VK("vkCreateSemaphore", device_.fn().vkCreateSemaphore(device_.handle(), &info, device_.allocator(), &timeline_));
  return ok_status();
}

constexpr size_t kMaxWaits = 4;  // of one submit

Result<TimelinePoint> Queue::submit(std::span<const VkCommandBuffer> commands, std::span<const TimelinePoint> waits) {
  HOTSET_CHECK(commands.size() <= kMaxCommandBuffers && waits.size() <= kMaxWaits);
  VkCommandBufferSubmitInfo buffers[kMaxCommandBuffers];
  VkSemaphoreSubmitInfo wait_infos[kMaxWaits];
  for (size_t i = 0; i < commands.size(); ++i) buffers[i] = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr, commands[i], 0};
  for (size_t i = 0; i < waits.size(); ++i) {
    wait_infos[i] = {VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO, nullptr, waits[i].semaphore, waits[i].value, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, 0};
  }
  std::lock_guard guard(*lock_);
  VkSemaphoreSubmitInfo signal = {VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO, nullptr, timeline_, last_value_ + 1, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, 0};
  VkSubmitInfo2 info = {VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
  info.commandBufferInfoCount = static_cast<uint32_t>(commands.size());
  info.pCommandBufferInfos = buffers;
  info.waitSemaphoreInfoCount = static_cast<uint32_t>(waits.size());
  info.pWaitSemaphoreInfos = wait_infos;
  info.signalSemaphoreInfoCount = 1;
  info.pSignalSemaphoreInfos = &signal;
  {
    const GuardHold hold(guard_, queue_);
    HOTSET_VK("vkQueueSubmit2", device_.fn().vkQueueSubmit2(queue_, 1, &info, VK_NULL_HANDLE));
  }
  ++last_value_;
  ++submit_count_;
  return TimelinePoint{timeline_, last_value_};
}

Status Queue::wait(uint64_t value, uint64_t timeout_ns) const {
  VkSemaphoreWaitInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &timeline_;
  info.pValues = &value;
  const VkResult result = device_.fn().vkWaitSemaphores(device_.handle(), &info, timeout_ns);
  if (result == VK_TIMEOUT) return error(Code::kDevice, "the device made no progress for %llu s", static_cast<unsigned long long>(timeout_ns / 1'000'000'000));
  HOTSET_VK("vkWaitSemaphores", result);
  return ok_status();
}

TimelinePoint Queue::last_point() const {
  std::lock_guard guard(*lock_);
  return {timeline_, last_value_};
}

uint64_t Queue::completed() const {
  uint64_t value = 0;
  static_cast<void>(device_.fn().vkGetSemaphoreCounterValue(device_.handle(), timeline_, &value));
  return value;
}

}  // namespace hotset
