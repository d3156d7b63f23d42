#include "offload/link_vulkan.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "platform/clock.h"

namespace hotset {
namespace {

// A copy waits for the copies of earlier batches, which may have written the same slot.
void copy_after_copies(const DeviceFunctions& fn, VkCommandBuffer commands) {
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

bool continues(const VkBufferCopy& before, const VkBufferCopy& next) {
  return before.srcOffset + before.size == next.srcOffset && before.dstOffset + before.size == next.dstOffset;
}

}  // namespace

const char* copy_path_name(CopyPath path) {
  switch (path) {
    case CopyPath::kMapped: return "mapped";
    case CopyPath::kDirect: return "direct";
    case CopyPath::kStaging: return "staging";
  }
  return "unknown";
}

Result<std::unique_ptr<LinkVulkan>> LinkVulkan::create(DeviceMemory& memory, std::span<const Buffer> slabs, const LinkVulkanOptions& options) {
  std::unique_ptr<LinkVulkan> link(new LinkVulkan(memory, slabs, options));
  for (Flight& flight : link->flights_) {
    HOTSET_ASSIGN(flight.commands, link->pool_.allocate());
  }
  link->regions_.reserve(kMaxRegions);
  link->run_.reserve(kMaxRegions);
  const auto unmapped = [](const Buffer& slab) { return slab.handle() != VK_NULL_HANDLE && slab.mapped().empty(); };
  if (std::any_of(slabs.begin(), slabs.end(), unmapped) || options.path == CopyPath::kStaging) HOTSET_RETURN_IF_ERROR(link->create_staging());
  link->set_path(options.path, options.import);
  return link;
}

LinkVulkan::LinkVulkan(DeviceMemory& memory, std::span<const Buffer> slabs, const LinkVulkanOptions& options)
    : device_(memory.device()),
      memory_(memory),
      slabs_(slabs),
      segment_bytes_(options.staging_bytes / kSegments),
      submit_bytes_(options.submit_bytes == 0 ? UINT64_MAX : options.submit_bytes),
      pool_(device_, device_.transfer().family()) {}

LinkVulkan::~LinkVulkan() {
  // Staging and command buffers are freed only when the device is done with them; a lost device is done.
  static_cast<void>(wait(last_value_));
}

Status LinkVulkan::create_staging() {
  if (segment_bytes_ == 0) return error(Code::kInvalidArgument, "the staging ring needs at least %u bytes", kSegments);
  HOTSET_ASSIGN(staging_, memory_.allocate(segment_bytes_ * kSegments, MemoryKind::kStaging, "staging ring"));
  return ok_status();
}

void LinkVulkan::set_path(std::optional<CopyPath> path, const HostImport* import) {
  path_ = path == CopyPath::kStaging && !stages() ? std::nullopt : path;
  import_ = import;
}

CopyPath LinkVulkan::path_of(std::span<const std::byte> from, const Buffer& target) const {
  const bool mapped = !target.mapped().empty();
  if (path_ == CopyPath::kStaging || (mapped && path_ != CopyPath::kDirect)) return path_.value_or(CopyPath::kMapped);
  if (import_ && import_->covers(from.data(), from.size())) return CopyPath::kDirect;
  return mapped ? CopyPath::kMapped : CopyPath::kStaging;
}

Status LinkVulkan::copy(std::span<const std::byte> from, SlabId slab, uint64_t offset_bytes) {
  HOTSET_CHECK(index_of(slab) < slabs_.size());
  const Buffer& target = slabs_[index_of(slab)];
  HOTSET_CHECK(offset_bytes <= target.size_bytes() && from.size() <= target.size_bytes() - offset_bytes);
  if (from.empty()) return ok_status();
  const CopyPath path = path_of(from, target);
  stats_.bytes += from.size();
  ++stats_.copies;
  path_bytes_[static_cast<size_t>(path)] += from.size();
  if (path == CopyPath::kMapped) return write_in_place(from, target, offset_bytes);
  start_busy();
  return path == CopyPath::kDirect ? copy_direct(from, slab, offset_bytes) : stage(from, slab, offset_bytes);
}

Status LinkVulkan::write_in_place(std::span<const std::byte> from, const Buffer& target, uint64_t offset_bytes) {
  // The queue may still be writing the same slot, for an earlier batch whose source was imported.
  if (completed() < last_value_) HOTSET_RETURN_IF_ERROR(wait(last_value_));
  const uint64_t start_ns = now_ns();
  std::memcpy(target.mapped().data() + offset_bytes, from.data(), from.size());
  if (busy_since_ns_ == 0) stats_.busy_ns += now_ns() - start_ns;
  return ok_status();
}

Status LinkVulkan::copy_direct(std::span<const std::byte> from, SlabId slab, uint64_t offset_bytes) {
  const auto source = import_->source(from.data(), from.size());
  return add({source->buffer, index_of(slab), {source->offset_bytes, offset_bytes, from.size()}});
}

Status LinkVulkan::stage(std::span<const std::byte> from, SlabId slab, uint64_t offset_bytes) {
  if (!stages()) HOTSET_RETURN_IF_ERROR(create_staging());  // the first slab of its kind was opened after the link
  while (!from.empty()) {
    if (segments_[segment_].used_bytes == segment_bytes_) HOTSET_RETURN_IF_ERROR(next_segment());
    Segment& segment = segments_[segment_];
    const uint64_t bytes = std::min<uint64_t>(from.size(), segment_bytes_ - segment.used_bytes);
    const uint64_t at = segment_ * segment_bytes_ + segment.used_bytes;
    std::memcpy(staging_.mapped().data() + at, from.data(), bytes);
    HOTSET_RETURN_IF_ERROR(add({staging_.handle(), index_of(slab), {at, offset_bytes, bytes}}));
    segment_pending_ = true;
    segment.used_bytes += bytes;
    offset_bytes += bytes;
    from = from.subspan(bytes);
    if (segment.used_bytes == segment_bytes_) HOTSET_RETURN_IF_ERROR(flush());
  }
  return ok_status();
}

Status LinkVulkan::next_segment() {
  const uint32_t next = (segment_ + 1) % kSegments;
  HOTSET_RETURN_IF_ERROR(wait(segments_[next].value));
  segments_[next].used_bytes = 0;
  segment_ = next;
  return ok_status();
}

Status LinkVulkan::add(Region region) {
  while (region.copy.size > 0) {
    if (regions_.size() == kMaxRegions || pending_bytes_ == submit_bytes_) HOTSET_RETURN_IF_ERROR(flush());
    Region now = region;
    now.copy.size = std::min(region.copy.size, submit_bytes_ - pending_bytes_);
    regions_.push_back(now);
    pending_bytes_ += now.copy.size;
    region.copy.srcOffset += now.copy.size;
    region.copy.dstOffset += now.copy.size;
    region.copy.size -= now.copy.size;
  }
  return ok_status();
}

// Submits what is enqueued.
Status LinkVulkan::flush() {
  Flight& flight = flights_[flight_];
  HOTSET_RETURN_IF_ERROR(wait(submit_bytes_ == UINT64_MAX ? flight.value : last_value_));
  HOTSET_RETURN_IF_ERROR(record(flight.commands));
  HOTSET_ASSIGN(const TimelinePoint point, device_.transfer().submit(std::span(&flight.commands, 1)));
  timeline_ = point.semaphore;
  flight.value = last_value_ = batch_value_ = point.value;
  if (segment_pending_) segments_[segment_].value = point.value;
  segment_pending_ = false;
  regions_.clear();
  pending_bytes_ = 0;
  flight_ = (flight_ + 1) % kFlights;
  return ok_status();
}

// One copy command for each pair of source and slab; regions that follow each other in both become one.
Status LinkVulkan::record(VkCommandBuffer commands) {
  const DeviceFunctions& fn = device_.fn();
  VkCommandBufferBeginInfo info = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  HOTSET_VK("vkBeginCommandBuffer", fn.vkBeginCommandBuffer(commands, &info));
  copy_after_copies(fn, commands);
  std::sort(regions_.begin(), regions_.end(), [](const Region& a, const Region& b) {
    return std::tie(a.from, a.slab, a.copy.srcOffset) < std::tie(b.from, b.slab, b.copy.srcOffset);
  });
  for (size_t i = 0; i < regions_.size(); ++i) {
    const Region& region = regions_[i];
    if (!run_.empty() && continues(run_.back(), region.copy)) run_.back().size += region.copy.size;
    else run_.push_back(region.copy);
    const bool last = i + 1 == regions_.size() || regions_[i + 1].from != region.from || regions_[i + 1].slab != region.slab;
    if (!last) continue;
    fn.vkCmdCopyBuffer(commands, region.from, slabs_[region.slab].handle(), static_cast<uint32_t>(run_.size()), run_.data());
    run_.clear();
  }
  HOTSET_VK("vkEndCommandBuffer", fn.vkEndCommandBuffer(commands));
  return ok_status();
}

Result<uint64_t> LinkVulkan::submit() {
  if (!regions_.empty()) HOTSET_RETURN_IF_ERROR(flush());
  const uint64_t value = batch_value_;
  batch_value_ = 0;
  return value;
}

void LinkVulkan::discard() {
  batch_value_ = 0;
  regions_.clear();
  pending_bytes_ = 0;
  segment_pending_ = false;
}

uint64_t LinkVulkan::completed() {
  if (last_value_ == 0) return 0;
  const uint64_t value = device_.transfer().completed();
  if (value >= last_value_ && regions_.empty()) stop_busy();
  return value;
}

Status LinkVulkan::wait(uint64_t value) {
  HOTSET_CHECK(value <= last_value_);
  if (value == 0) return ok_status();
  HOTSET_RETURN_IF_ERROR(device_.transfer().wait(value));
  static_cast<void>(completed());
  return ok_status();
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
