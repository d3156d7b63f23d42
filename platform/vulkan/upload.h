// Uploader: copies host bytes into device buffers while a model loads; the calling thread waits.
//
// Mapped buffers are written in place, others through a staging buffer on the transfer queue. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "platform/status.h"
#include "platform/vulkan/commands.h"
#include "platform/vulkan/memory.h"

namespace hotset {

class Uploader {
 public:
  // Writes bytes into the span; its size is what is asked for.
  using FillFunction = std::function<Status(std::span<std::byte> out)>;

  // `staging_bytes`: the largest upload; allocated when the first buffer that is not mapped comes.
  // `force_staging` stages also into mapped buffers, for tests on devices that map everything. `programs` may be nullptr where
  // all memory is the host's. `submit_bytes`: most that goes in one submit; 0: an upload is one.
  Uploader(DeviceMemory& memory, const ProgramCache* programs, uint64_t staging_bytes, bool force_staging = false, uint64_t submit_bytes = 0);

  // Fills `size_bytes` (at most staging_bytes) of `target` from `offset_bytes` on. Errors: fill's own, the device's.
  Status upload(const Buffer& target, uint64_t offset_bytes, uint64_t size_bytes, const FillFunction& fill);

 private:
  Status prepare();
  // From the staging buffer, waited for.
  Status send(uint64_t from_offset, const Buffer& target, uint64_t offset_bytes, uint64_t size_bytes);

  DeviceMemory& memory_;
  const ProgramCache* const programs_;
  const uint64_t staging_bytes_;
  const bool force_staging_;
  const uint64_t submit_bytes_;
  std::optional<CommandPool> pool_;  // these two from the first staged upload on
  std::optional<Recorder> recorder_;
  Buffer staging_;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
};

}  // namespace hotset
