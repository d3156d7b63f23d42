// Recording of command buffers. A CommandPool and its buffers belong to one thread at a time; a recorded buffer can be
// submitted any number of times, but not while it is still running.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "platform/status.h"
#include "platform/vulkan/device.h"
#include "platform/vulkan/memory.h"
#include "platform/vulkan/program.h"

namespace hotset {

// Who wrote before and who reads or writes after a barrier.
enum class WorkKind { kShader, kTransfer, kHost };

class CommandPool {
 public:
  CommandPool(Device& device, uint32_t queue_family) : device_(device), family_(queue_family) {}
  ~CommandPool();
  CommandPool(const CommandPool&) = delete;
  CommandPool& operator=(const CommandPool&) = delete;

  // A new primary command buffer, owned by the pool. Single buffers may be recorded anew with begin().
  Result<VkCommandBuffer> allocate();

 private:
  Device& device_;
  const uint32_t family_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
};

// Writes commands into one command buffer. Between begin() and end() only.
class Recorder {
 public:
  Recorder(Device& device, const ProgramCache& programs) : device_(device), layout_(programs.layout()) {}

  Status begin(VkCommandBuffer commands, bool one_time = false);
  Status end();

  // Runs `program` over x*y*z workgroups with `push` (at most kMaxPushBytes) as push constants.
  void dispatch(const Program& program, std::span<const std::byte> push, uint32_t x, uint32_t y = 1, uint32_t z = 1);
  template <class Push>
  void dispatch(const Program& program, const Push& push, uint32_t x, uint32_t y = 1, uint32_t z = 1) {
    static_assert(sizeof(Push) <= kMaxPushBytes);
    dispatch(program, std::as_bytes(std::span(&push, 1)), x, y, z);
  }
  // Sets push constants from `offset_bytes` on, for all dispatches to come whose own do not reach so far.
  void push(uint32_t offset_bytes, std::span<const std::byte> bytes);
  void copy(const Buffer& from, uint64_t from_offset, const Buffer& to, uint64_t to_offset, uint64_t size_bytes);

  // Makes earlier writes of `before` visible to later work of `after` (execution and memory).
  void barrier(WorkKind before, WorkKind after);

  uint32_t barrier_count() const { return barriers_; }
  uint32_t dispatch_count() const { return dispatches_; }

 private:
  Device& device_;
  const VkPipelineLayout layout_;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkPipeline bound_ = VK_NULL_HANDLE;
  uint32_t barriers_ = 0;
  uint32_t dispatches_ = 0;
};

}  // namespace hotset
