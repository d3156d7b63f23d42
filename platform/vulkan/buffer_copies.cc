#include "platform/vulkan/buffer_copies.h"

#include <algorithm>
#include <cstring>

namespace hotset {

BufferCopies::BufferCopies(DeviceMemory& memory, const ProgramCache* programs, uint64_t piece_bytes, bool force_staging, uint64_t submit_bytes)
    : memory_(memory),
      programs_(programs),
      piece_bytes_(submit_bytes == 0 ? piece_bytes : std::min(piece_bytes, submit_bytes)),
      force_staging_(force_staging),
      submit_bytes_(submit_bytes == 0 ? UINT64_MAX : submit_bytes) {
  HOTSET_CHECK(piece_bytes > 0);
}

Status BufferCopies::prepare_commands() {
  if (commands_ != VK_NULL_HANDLE) return ok_status();
  HOTSET_CHECK(programs_ != nullptr);
  Device& device = memory_.device();
  pool_.emplace(device, device.compute().family());
  recorder_.emplace(device, *programs_);
  HOTSET_ASSIGN(commands_, pool_->allocate());
  return ok_status();
}

Status BufferCopies::prepare_piece() {
  if (piece_.size_bytes() != 0) return ok_status();
  HOTSET_ASSIGN(piece_, memory_.allocate(piece_bytes_, MemoryKind::kReadback, "copies of a session's state"));
  return ok_status();
}

Status BufferCopies::run(const Buffer& from, uint64_t from_offset, const Buffer& to, uint64_t to_offset, uint64_t size_bytes) {
  HOTSET_RETURN_IF_ERROR(prepare_commands());
  HOTSET_RETURN_IF_ERROR(recorder_->begin(commands_, true));
  recorder_->barrier(WorkKind::kShader, WorkKind::kTransfer);
  recorder_->copy(from, from_offset, to, to_offset, size_bytes);
  recorder_->barrier(WorkKind::kTransfer, WorkKind::kShader);
  recorder_->barrier(WorkKind::kTransfer, WorkKind::kHost);
  HOTSET_RETURN_IF_ERROR(recorder_->end());
  Queue& queue = memory_.device().compute();
  HOTSET_ASSIGN(const TimelinePoint point, queue.submit(std::span(&commands_, 1)));
  return queue.wait(point.value);
}

Status BufferCopies::read(const Buffer& from, uint64_t offset_bytes, std::span<std::byte> out) {
  HOTSET_CHECK(offset_bytes + out.size() <= from.size_bytes());
  if (in_place(from)) {
    std::memcpy(out.data(), from.mapped().data() + offset_bytes, out.size());
    return ok_status();
  }
  HOTSET_RETURN_IF_ERROR(prepare_piece());
  for (uint64_t done = 0; done < out.size();) {
    const uint64_t bytes = std::min<uint64_t>(piece_bytes_, out.size() - done);
    HOTSET_RETURN_IF_ERROR(run(from, offset_bytes + done, piece_, 0, bytes));
    std::memcpy(out.data() + done, piece_.mapped().data(), bytes);
    done += bytes;
  }
  return ok_status();
}

Status BufferCopies::write(const Buffer& to, uint64_t offset_bytes, std::span<const std::byte> bytes) {
  HOTSET_CHECK(offset_bytes + bytes.size() <= to.size_bytes());
  if (in_place(to)) {
    std::memcpy(to.mapped().data() + offset_bytes, bytes.data(), bytes.size());
    return ok_status();
  }
  HOTSET_RETURN_IF_ERROR(prepare_piece());
  for (uint64_t done = 0; done < bytes.size();) {
    const uint64_t now = std::min<uint64_t>(piece_bytes_, bytes.size() - done);
    std::memcpy(piece_.mapped().data(), bytes.data() + done, now);
    HOTSET_RETURN_IF_ERROR(run(piece_, 0, to, offset_bytes + done, now));
    done += now;
  }
  return ok_status();
}

Status BufferCopies::copy(const Buffer& from, const Buffer& to, uint64_t size_bytes) {
  HOTSET_CHECK(size_bytes <= from.size_bytes() && size_bytes <= to.size_bytes());
  if (in_place(from) && in_place(to)) {
    if (size_bytes != 0) std::memcpy(to.mapped().data(), from.mapped().data(), size_bytes);
    return ok_status();
  }
  for (uint64_t done = 0; done < size_bytes;) {
    const uint64_t now = std::min(submit_bytes_, size_bytes - done);
    HOTSET_RETURN_IF_ERROR(run(from, done, to, done, now));
    done += now;
  }
  return ok_status();
}

}  // namespace hotset
