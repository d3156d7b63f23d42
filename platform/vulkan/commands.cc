#include "platform/vulkan/commands.h"

namespace hotset {
namespace {

struct Scope {
  VkPipelineStageFlags2 stage;
  VkAccessFlags2 write;
  VkAccessFlags2 read_write;
};

Scope scope_of(WorkKind kind) {
  switch (kind) {
    case WorkKind::kShader:
      return {VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT, VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT,
              VK_ACCESS_2_SHADER_STORAGE_READ_BIT | VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT};
    case WorkKind::kTransfer:
      return {VK_PIPELINE_STAGE_2_COPY_BIT, VK_ACCESS_2_TRANSFER_WRITE_BIT, VK_ACCESS_2_TRANSFER_READ_BIT | VK_ACCESS_2_TRANSFER_WRITE_BIT};
    case WorkKind::kHost:
      return {VK_PIPELINE_STAGE_2_HOST_BIT, VK_ACCESS_2_HOST_WRITE_BIT, VK_ACCESS_2_HOST_READ_BIT | VK_ACCESS_2_HOST_WRITE_BIT};
  }
  return {};
}

}  // namespace

CommandPool::~CommandPool() {
  if (pool_ != VK_NULL_HANDLE) device_.fn().vkDestroyCommandPool(device_.handle(), pool_, device_.allocator());
}

Result<VkCommandBuffer> CommandPool::allocate() {
  if (pool_ == VK_NULL_HANDLE) {
    VkCommandPoolCreateInfo info = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr, VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT, family_};
    HOTSET_VK("vkCreateCommandPool", device_.fn().vkCreateCommandPool(device_.handle(), &info, device_.allocator(), &pool_));
  }
  VkCommandBufferAllocateInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, nullptr, pool_, VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1};
  VkCommandBuffer commands = VK_NULL_HANDLE;
  HOTSET_VK("vkAllocateCommandBuffers", device_.fn().vkAllocateCommandBuffers(device_.handle(), &info, &commands));
  return commands;
}

Status Recorder::begin(VkCommandBuffer commands, bool one_time) {
  commands_ = commands;
  bound_ = VK_NULL_HANDLE;
  VkCommandBufferBeginInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags = one_time ? VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT : 0;
  HOTSET_VK("vkBeginCommandBuffer", device_.fn().vkBeginCommandBuffer(commands, &info));
  return ok_status();
}

Status Recorder::end() {
  HOTSET_VK("vkEndCommandBuffer", device_.fn().vkEndCommandBuffer(commands_));
  commands_ = VK_NULL_HANDLE;
  return ok_status();
}

void Recorder::push(uint32_t offset_bytes, std::span<const std::byte> bytes) {
  HOTSET_CHECK(commands_ != VK_NULL_HANDLE && offset_bytes + bytes.size() <= kMaxPushBytes);
  device_.fn().vkCmdPushConstants(commands_, layout_, VK_SHADER_STAGE_COMPUTE_BIT, offset_bytes, static_cast<uint32_t>(bytes.size()), bytes.data());
}

void Recorder::dispatch(const Program& program, std::span<const std::byte> push, uint32_t x, uint32_t y, uint32_t z) {
  HOTSET_CHECK(commands_ != VK_NULL_HANDLE && push.size() <= kMaxPushBytes && x > 0 && y > 0 && z > 0);
  const DeviceFunctions& fn = device_.fn();
  if (bound_ != program.pipeline) {
    fn.vkCmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, program.pipeline);
    bound_ = program.pipeline;
  }
  fn.vkCmdPushConstants(commands_, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0, static_cast<uint32_t>(push.size()), push.data());
  fn.vkCmdDispatch(commands_, x, y, z);
  ++dispatches_;
}

void Recorder::copy(const Buffer& from, uint64_t from_offset, const Buffer& to, uint64_t to_offset, uint64_t size_bytes) {
  const VkBufferCopy region = {from_offset, to_offset, size_bytes};
  device_.fn().vkCmdCopyBuffer(commands_, from.handle(), to.handle(), 1, &region);
}

void Recorder::barrier(WorkKind before, WorkKind after) {
  const Scope source = scope_of(before);
  const Scope target = scope_of(after);
  VkMemoryBarrier2 memory = {VK_STRUCTURE_TYPE_MEMORY_BARRIER_2, nullptr, source.stage, source.write, target.stage, target.read_write};
  VkDependencyInfo info = {VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
  info.memoryBarrierCount = 1;
  info.pMemoryBarriers = &memory;
  device_.fn().vkCmdPipelineBarrier2(commands_, &info);
  ++barriers_;
}

}  // namespace hotset
