// A queue with its own timeline, and the search for queue families.
//
// Any thread may submit, wait and ask: the VkQueue is guarded by a lock, shared by Queues that alias one VkQueue, and on a device of the
// caller's by the caller's own lock too.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "platform/status.h"
#include "platform/vulkan/caller_device.h"
#include "platform/vulkan/functions.h"

namespace hotset {

class Device;

// One point on a queue's timeline: reached when the submit that signals it has finished.
struct TimelinePoint {
  VkSemaphore semaphore = VK_NULL_HANDLE;
  uint64_t value = 0;
};

// A queue with its own timeline. Two Queue objects may share one VkQueue (aliased) and then one lock.
class Queue {
 public:
  static constexpr size_t kMaxCommandBuffers = 512;  // of one submit: two a layer for the deepest models known

  Queue(const Device& device, CallerQueue queue, std::shared_ptr<std::mutex> lock, const QueueGuard& guard);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  Status init();

  // Submits the command buffers (at most kMaxCommandBuffers) in order after `waits`; the returned point is reached when all have finished.
  Result<TimelinePoint> submit(std::span<const VkCommandBuffer> commands, std::span<const TimelinePoint> waits = {});
  // Blocks until the timeline has reached `value`. Error: device lost, or no progress for `timeout_ns`.
  Status wait(uint64_t value, uint64_t timeout_ns = 600'000'000'000) const;
  // The value the timeline has reached.
  uint64_t completed() const;
  // Blocks until everything submitted so far has finished, or the device is lost.
  Status wait_for_all() const { return wait(last_point().value); }
  // Reached when everything submitted so far has finished; value 0: nothing was submitted.
  TimelinePoint last_point() const;
  uint64_t submit_count() const { return submit_count_; }
  uint32_t family() const { return family_; }

 private:
  const Device& device_;
  const VkQueue queue_;
  const uint32_t family_;
  const std::shared_ptr<std::mutex> lock_;
  const QueueGuard guard_;  // held within lock_
  VkSemaphore timeline_ = VK_NULL_HANDLE;
  uint64_t last_value_ = 0;    // guarded by lock_
  uint64_t submit_count_ = 0;  // guarded by lock_
};

std::vector<VkQueueFamilyProperties> queue_families(PhysicalDevice device);
// The first family that computes; -1: none.
int find_compute_family(const std::vector<VkQueueFamilyProperties>& families);
// A family that moves bytes and neither draws nor computes (the copy engines); -1: none.
int find_own_transfer_family(const std::vector<VkQueueFamilyProperties>& families);

}  // namespace hotset
