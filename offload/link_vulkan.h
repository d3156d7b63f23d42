// LinkVulkan: the DeviceLink of a Vulkan device.
//
// Bytes go one of three ways:
// - mapped: a slab that the host can write (software and integrated devices, resizable BAR) is written in place; the copy is
//   done when copy() returns.
// - direct: the transfer queue copies from host memory that the driver has imported; the host moves no byte.
// - staging: the host copies into a ring of segments and the transfer queue copies from there.
// The copies of a batch are one command buffer, more only when it fills; several batches may be under way, and copy() or
// submit() waits when the ring of either is full. Nothing is allocated after creation, but for the staging ring where the first
// slab that needs it is made later. One owner thread; others may submit to the transfer queue too, its timeline counts for all.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "offload/link.h"
#include "platform/vulkan/commands.h"
#include "platform/vulkan/device.h"
#include "platform/vulkan/host_import.h"
#include "platform/vulkan/memory.h"

namespace hotset {

enum class CopyPath : uint8_t { kMapped, kDirect, kStaging };
inline constexpr size_t kCopyPaths = 3;
const char* copy_path_name(CopyPath path);  // "mapped"

struct LinkVulkanOptions {
  // The way that was measured to be the fastest; none: the first possible of mapped, direct and staging. A copy that
  // cannot go this way takes the first possible one.
  std::optional<CopyPath> path;
  const HostImport* import = nullptr;      // what copies may read directly; outlives the link. nullptr: nothing
  uint64_t staging_bytes = 32ull << 20;    // all segments together; taken only when some slab is not mapped, or staging is asked for
  // Most that one submit copies; the next then goes in when it is done, so that what others submit to the queue gets its turn. 0: a batch is
  // one submit, and several may be under way.
  uint64_t submit_bytes = 0;
};

class LinkVulkan final : public DeviceLink {
 public:
  static constexpr uint32_t kSegments = 8;  // small ones, so that the device copies the first of a batch while the host fills the next
  static constexpr uint32_t kFlights = 8;   // command buffers under way
  static constexpr size_t kMaxRegions = 512;  // copies in one command buffer

  // `slabs` [SlabId] and `memory` outlive the link and stay where they are; a slab may be empty while nothing is copied there, and then
  // be made as the others are. Errors: what DeviceMemory says for staging.
  static Result<std::unique_ptr<LinkVulkan>> create(DeviceMemory& memory, std::span<const Buffer> slabs, const LinkVulkanOptions& options);
  ~LinkVulkan() override;

  // From the next copy on, as in the options; staging where no ring was made at creation is as if no path was named. An import
  // that is taken away must outlive the copies so far.
  void set_path(std::optional<CopyPath> path, const HostImport* import);

  Status copy(std::span<const std::byte> from, SlabId slab, uint64_t offset_bytes) override;
  Result<uint64_t> submit() override;
  void discard() override;
  uint64_t completed() override;
  Status wait(uint64_t value) override;
  DeviceLinkStats stats() const override { return stats_; }

  // What a compute submit waits for so that the copies up to `value` are there; value > 0.
  TimelinePoint point(uint64_t value) const { return {timeline_, value}; }
  // Holds staging memory.
  bool stages() const { return staging_.handle() != VK_NULL_HANDLE; }
  // Bytes of the copies that went this way.
  uint64_t path_bytes(CopyPath path) const { return path_bytes_[static_cast<size_t>(path)]; }

 private:
  // A part of the staging ring; sent when it is full, filled anew when the timeline has passed value.
  struct Segment {
    uint64_t used_bytes = 0;
    uint64_t value = 0;  // of the last submit that reads it
  };
  // A command buffer; recorded anew when the timeline has passed value.
  struct Flight {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    uint64_t value = 0;
  };
  // A copy that is not recorded yet.
  struct Region {
    VkBuffer from = VK_NULL_HANDLE;
    uint32_t slab = 0;
    VkBufferCopy copy = {};
  };

  LinkVulkan(DeviceMemory& memory, std::span<const Buffer> slabs, const LinkVulkanOptions& options);
  Status create_staging();
  CopyPath path_of(std::span<const std::byte> from, const Buffer& target) const;
  Status write_in_place(std::span<const std::byte> from, const Buffer& target, uint64_t offset_bytes);
  Status copy_direct(std::span<const std::byte> from, SlabId slab, uint64_t offset_bytes);
  Status stage(std::span<const std::byte> from, SlabId slab, uint64_t offset_bytes);
  Status next_segment();
  Status add(Region region);
  Status flush();
  Status record(VkCommandBuffer commands);
  void start_busy();
  void stop_busy();

  Device& device_;
  DeviceMemory& memory_;
  const std::span<const Buffer> slabs_;
  const uint64_t segment_bytes_;
  const uint64_t submit_bytes_;
  Buffer staging_;  // [kSegments][segment_bytes_]
  CommandPool pool_;

  std::optional<CopyPath> path_;
  const HostImport* import_ = nullptr;
  std::array<Segment, kSegments> segments_;
  std::array<Flight, kFlights> flights_;
  uint32_t segment_ = 0;                    // the one that fills
  uint32_t flight_ = 0;                     // the next to record
  std::vector<Region> regions_;             // enqueued, not submitted; capacity kMaxRegions
  uint64_t pending_bytes_ = 0;              // of regions_; at most submit_bytes_
  std::vector<VkBufferCopy> run_;           // scratch of record(); capacity kMaxRegions
  bool segment_pending_ = false;            // some of regions_ read the segment that fills
  VkSemaphore timeline_ = VK_NULL_HANDLE;   // known from the first submit on
  uint64_t last_value_ = 0;                 // of the last submit; 0: none yet
  uint64_t batch_value_ = 0;                // of the last submit since submit() or discard(); 0: none
  uint64_t busy_since_ns_ = 0;              // 0: idle
  std::array<uint64_t, kCopyPaths> path_bytes_ = {};
  DeviceLinkStats stats_;
};

}  // namespace hotset
