#include "platform/vulkan/upload.h"

#include <algorithm>

namespace hotset {

Uploader::Uploader(DeviceMemory& memory, const ProgramCache* programs, uint64_t staging_bytes, bool force_staging, uint64_t submit_bytes)
    : memory_(memory),
      programs_(programs),
      staging_bytes_(staging_bytes),
      force_staging_(force_staging),
      submit_bytes_(submit_bytes == 0 ? staging_bytes : submit_bytes) {}

Status Uploader::prepare() {
  if (commands_ != VK_NULL_HANDLE) return ok_status();
  HOTSET_CHECK(programs_ != nullptr);
  Device& device = memory_.device();
  pool_.emplace(device, device.transfer().family());
  recorder_.emplace(device, *programs_);
  HOTSET_ASSIGN(staging_, memory_.allocate(staging_bytes_, MemoryKind::kStaging, "staging"));
  HOTSET_ASSIGN(commands_, pool_->allocate());
  return ok_status();
}

Status Uploader::upload(const Buffer& target, uint64_t offset_bytes, uint64_t size_bytes, const FillFunction& fill) {
  HOTSET_CHECK(size_bytes <= staging_bytes_ && offset_bytes + size_bytes <= target.size_bytes());
  if (!target.mapped().empty() && !force_staging_) return fill(target.mapped().subspan(offset_bytes, size_bytes));
  HOTSET_RETURN_IF_ERROR(prepare());
  HOTSET_RETURN_IF_ERROR(fill(staging_.mapped().subspan(0, size_bytes)));
  for (uint64_t done = 0; done < size_bytes; done += submit_bytes_) {
    HOTSET_RETURN_IF_ERROR(send(done, target, offset_bytes + done, std::min(submit_bytes_, size_bytes - done)));
  }
  return ok_status();
}

Status Uploader::send(uint64_t from_offset, const Buffer& target, uint64_t offset_bytes, uint64_t size_bytes) {
  HOTSET_RETURN_IF_ERROR(recorder_->begin(commands_, true));
  recorder_->copy(staging_, from_offset, target, offset_bytes, size_bytes);
  HOTSET_RETURN_IF_ERROR(recorder_->end());
  HOTSET_ASSIGN(const TimelinePoint point, memory_.device().transfer().submit(std::span(&commands_, 1)));
  return memory_.device().transfer().wait(point.value);
}

}  // namespace hotset
