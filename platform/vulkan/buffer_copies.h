// BufferCopies: moves bytes between buffers that the device works on and host memory, in either direction, and from one to another; the
// calling thread waits. For what outlives a run, not for weights (upload.h) nor for experts.
//
// Mapped buffers are read and written in place, others through a buffer that the host sees, in pieces, on the compute queue: so what was
// submitted there before is done. Mapped ones must have nothing under way. One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "platform/status.h"
#include "platform/vulkan/commands.h"
#include "platform/vulkan/memory.h"

namespace hotset {

class BufferCopies {
 public:
  // `piece_bytes`: what goes at once; allocated when the first buffer that is not mapped comes. `force_staging` takes that way for mapped
  // buffers as well, for tests on devices that map everything. `programs` may be nullptr where all memory is the host's. `submit_bytes`: most
  // that one submit copies; 0: a piece, or all from buffer to buffer.
  BufferCopies(DeviceMemory& memory, const ProgramCache* programs, uint64_t piece_bytes, bool force_staging = false, uint64_t submit_bytes = 0);

  // Ranges lie within the buffers. Errors: the device's.
  Status read(const Buffer& from, uint64_t offset_bytes, std::span<std::byte> out);
  Status write(const Buffer& to, uint64_t offset_bytes, std::span<const std::byte> bytes);
  // The first `size_bytes`; the two are not one.
  Status copy(const Buffer& from, const Buffer& to, uint64_t size_bytes);

 private:
  bool in_place(const Buffer& buffer) const { return !force_staging_ && !buffer.mapped().empty(); }
  Status prepare_commands();
  Status prepare_piece();
  // One copy between barriers, waited for.
  Status run(const Buffer& from, uint64_t from_offset, const Buffer& to, uint64_t to_offset, uint64_t size_bytes);

  DeviceMemory& memory_;
  const ProgramCache* const programs_;
  const uint64_t piece_bytes_;
  const bool force_staging_;
  const uint64_t submit_bytes_;
  std::optional<CommandPool> pool_;  // these and the piece from the first copy by the device on
  std::optional<Recorder> recorder_;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  Buffer piece_;
};

}  // namespace hotset
