#include "offload/link_vulkan.h"

#include <algorithm>
#include <cstring>

#include "platform/clock.h"

namespace hotset {
namespace {

// A copy waits for the copies of earlier batches, which may have written the same slot.
void copy_after_copies(const VolkDeviceTable& fn, VkCommandBuffer commands) {
  VkMemoryBarrier2 memory = {VK_STRUCTURE_TYPE_MEMORY_BARRIER_2};
  memory.srcStageMask = VK_PIPELINE_STAGE_2_COPY_BIT;
  memory.srcAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT;
  memory.dstStageMask = VK_PIPELINE_STAGE_2_COPY_BIT;
  memory.dstAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT;
  VkDependencyInfo info = {VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
  info.memoryBarrierCount = 1;
  info.pMemoryBarriers = &memory;
  fn.vkCmdPipelineBarrier2(commands, &info);
}

}  // namespace

Result<std::unique_ptr<LinkVulkan>> LinkVulkan::create(DeviceMemory& memory, std::span<const Buffer> slabs, const LinkVulkanOptions& options) {
  std::unique_ptr<LinkVulkan> link(new LinkVulkan(memory, slabs, options.force_staging));
  const bool all_mapped = std::all_of(slabs.begin(), slabs.end(), [](const Buffer& slab) { return !slab.mapped().empty(); });
  if (!all_mapped || options.force_staging) HOTSET_RETURN_IF_ERROR(link->create_staging(options.staging_bytes));
  return link;
}

LinkVulkan::LinkVulkan(DeviceMemory& memory, std::span<const Buffer> slabs, bool force_staging)
    : device_(memory.device()), memory_(memory), slabs_(slabs), force_staging_(force_staging), pool_(device_, device_.transfer().family()) {}

LinkVulkan::~LinkVulkan() {
  // Staging and command buffers are freed only when the device is done with them; a lost device is done.
  if (last_value_ != 0) static_cast<void>(device_.transfer().wait(last_value_));
}

Status LinkVulkan::create_staging(uint64_t staging_bytes) {
  segment_bytes_ = staging_bytes / kSegments;
  if (segment_bytes_ == 0) return error(Code::kInvalidArgument, "the staging ring needs at least %u bytes", kSegments);
  HOTSET_ASSIGN(staging_, memory_.allocate(segment_bytes_ * kSegments, MemoryKind::kStaging, "staging ring"));
  for (Segment& segment : segments_) {
    HOTSET_ASSIGN(segment.commands, pool_.allocate());
  }
  return ok_status();
}

Status LinkVulkan::copy(std::span<const std::byte> from, SlabId slab, uint64_t offset_bytes) {
  HOTSET_CHECK(index_of(slab) < slabs_.size());
  const Buffer& target = slabs_[index_of(slab)];
  HOTSET_CHECK(offset_bytes <= target.size_bytes() && from.size() <= target.size_bytes() - offset_bytes);
  stats_.bytes += from.size();
  ++stats_.copies;
  if (force_staging_ || target.mapped().empty()) return stage(from, target, offset_bytes);
  const uint64_t start_ns = now_ns();
  std::memcpy(target.mapped().data() + offset_bytes, from.data(), from.size());
  if (busy_since_ns_ == 0) stats_.busy_ns += now_ns() - start_ns;
  return ok_status();
}

Status LinkVulkan::stage(std::span<const std::byte> from, const Buffer& slab, uint64_t offset_bytes) {
  start_busy();
  while (!from.empty()) {
    Segment& segment = segments_[current_];
    if (!segment.recording) HOTSET_RETURN_IF_ERROR(begin(segment));
    const uint64_t bytes = std::min<uint64_t>(from.size(), segment_bytes_ - segment.used_bytes);
    const uint64_t at = current_ * segment_bytes_ + segment.used_bytes;
    std::memcpy(staging_.mapped().data() + at, from.data(), bytes);
    const VkBufferCopy region = {at, offset_bytes, bytes};
    device_.fn().vkCmdCopyBuffer(segment.commands, staging_.handle(), slab.handle(), 1, &region);
    segment.used_bytes += bytes;
    offset_bytes += bytes;
    from = from.subspan(bytes);
    if (segment.used_bytes == segment_bytes_) HOTSET_RETURN_IF_ERROR(flush());
  }
  return ok_status();
}

Status LinkVulkan::begin(Segment& segment) {
  if (segment.value != 0) HOTSET_RETURN_IF_ERROR(device_.transfer().wait(segment.value));
  VkCommandBufferBeginInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  HOTSET_VK("vkBeginCommandBuffer", device_.fn().vkBeginCommandBuffer(segment.commands, &info));
  copy_after_copies(device_.fn(), segment.commands);
  segment.used_bytes = 0;
  segment.recording = true;
  return ok_status();
}

// Submits the segment that fills and goes on to the next.
Status LinkVulkan::flush() {
  Segment& segment = segments_[current_];
  segment.recording = false;
  HOTSET_VK("vkEndCommandBuffer", device_.fn().vkEndCommandBuffer(segment.commands));
  HOTSET_ASSIGN(const TimelinePoint point, device_.transfer().submit(std::span(&segment.commands, 1)));
  timeline_ = point.semaphore;
  segment.value = last_value_ = batch_value_ = point.value;
  current_ = (current_ + 1) % kSegments;
  return ok_status();
}

Result<uint64_t> LinkVulkan::submit() {
  if (segments_[current_].recording) HOTSET_RETURN_IF_ERROR(flush());
  const uint64_t value = batch_value_;
  batch_value_ = 0;
  return value;
}

void LinkVulkan::discard() {
  batch_value_ = 0;
  Segment& segment = segments_[current_];
  if (!segment.recording) return;
  segment.recording = false;
  static_cast<void>(device_.fn().vkResetCommandBuffer(segment.commands, 0));
}

uint64_t LinkVulkan::completed() {
  if (last_value_ == 0) return 0;
  const uint64_t value = device_.transfer().completed();
  if (value >= last_value_ && !segments_[current_].recording) stop_busy();
  return value;
}

void LinkVulkan::start_busy() {
  if (busy_since_ns_ != 0) {
    static_cast<void>(completed());  // notices that the link has been idle, as far as it can be told now
  }
  if (busy_since_ns_ == 0) busy_since_ns_ = now_ns();
}

void LinkVulkan::stop_busy() {
  if (busy_since_ns_ == 0) return;
  stats_.busy_ns += now_ns() - busy_since_ns_;
  busy_since_ns_ = 0;
}

}  // namespace hotset
