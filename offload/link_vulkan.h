// LinkVulkan: the DeviceLink of a Vulkan device.
//
// A slab that the host can write (software and integrated devices, resizable BAR) is written in place: its copies are
// done when copy() returns. For others the bytes go through a ring of staging segments and copy commands on
// the transfer queue; copy() waits when every segment is still under way. Nothing is allocated after creation. One
// owner thread; others may submit to the transfer queue too, its timeline counts for all.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "offload/link.h"
#include "platform/vulkan/commands.h"
#include "platform/vulkan/device.h"
#include "platform/vulkan/memory.h"

namespace hotset {

struct LinkVulkanOptions {
  bool force_staging = false;              // treat mapped slabs as if they were not
  uint64_t staging_bytes = 32ull << 20;    // all segments together; taken only when some slab needs staging
};

class LinkVulkan final : public DeviceLink {
 public:
  static constexpr uint32_t kSegments = 4;  // one filling, one or two under way, one just done

  // `slabs` [SlabId] and `memory` outlive the link and stay where they are. Errors: what DeviceMemory says for staging.
  static Result<std::unique_ptr<LinkVulkan>> create(DeviceMemory& memory, std::span<const Buffer> slabs, const LinkVulkanOptions& options);
  ~LinkVulkan() override;

  Status copy(std::span<const std::byte> from, SlabId slab, uint64_t offset_bytes) override;
  Result<uint64_t> submit() override;
  void discard() override;
  uint64_t completed() override;
  DeviceLinkStats stats() const override { return stats_; }

  // What a compute submit waits for so that the copies up to `value` are there; value > 0.
  TimelinePoint point(uint64_t value) const { return {timeline_, value}; }
  // Some slab goes through staging.
  bool stages() const { return staging_.handle() != VK_NULL_HANDLE; }

 private:
  struct Segment {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    uint64_t used_bytes = 0;    // filled since begin
    uint64_t value = 0;         // of its last submit
    bool recording = false;     // between begin and submit or discard
  };

  LinkVulkan(DeviceMemory& memory, std::span<const Buffer> slabs, bool force_staging);
  Status create_staging(uint64_t staging_bytes);
  Status stage(std::span<const std::byte> from, const Buffer& slab, uint64_t offset_bytes);
  Status begin(Segment& segment);
  Status flush();
  void start_busy();
  void stop_busy();

  Device& device_;
  DeviceMemory& memory_;
  const std::span<const Buffer> slabs_;
  const bool force_staging_;
  uint64_t segment_bytes_ = 0;
  Buffer staging_;  // [kSegments][segment_bytes_]
  CommandPool pool_;

  std::array<Segment, kSegments> segments_;
  uint32_t current_ = 0;                    // the segment that fills
  VkSemaphore timeline_ = VK_NULL_HANDLE;   // known from the first submit on
  uint64_t last_value_ = 0;                 // of the last submit; 0: none yet
  uint64_t batch_value_ = 0;                // of the last submit since submit() or discard(); 0: none
  uint64_t busy_since_ns_ = 0;              // 0: idle
  DeviceLinkStats stats_;
};

}  // namespace hotset
