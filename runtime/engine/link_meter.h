// LinkMeter: times single uses of the ways between host memory, device memory and the kernels.
//
// It holds some tens of MiB of each memory for as long as it lives, and submits to the device's queues. What is timed is the
// whole of a use as a caller sees it, in nanoseconds of the host's clock. One thread.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "offload/link_vulkan.h"
#include "platform/host_memory.h"
#include "platform/vulkan/host_import.h"
#include "runtime/compute/read_sum.h"

namespace hotset {

enum class ReadFrom : uint8_t { kDevice, kHostInPlace };

struct LinkMeterOptions {
  uint64_t host_bytes = 64ull << 20;          // larger than the CPU's caches, mostly
  uint64_t device_bytes = 128ull << 20;       // larger than the GPU's caches; halved until the budget allows it
  uint64_t least_device_bytes = 2ull << 20;
  uint64_t staging_bytes = 32ull << 20;       // of the staging ring, where the device can spare them
  uint32_t threads = 1;                       // of the host, where several share the work
  HostImportOptions import;
};

class LinkMeter {
 public:
  // Errors: the budget of `memory` has no room for least_device_bytes, or what the device says. `memory` outlives the meter.
  static Result<std::unique_ptr<LinkMeter>> create(DeviceMemory& memory, const LinkMeterOptions& options);
  LinkMeter(const LinkMeter&) = delete;
  LinkMeter& operator=(const LinkMeter&) = delete;

  bool has(CopyPath path) const { return links_[static_cast<size_t>(path)] != nullptr; }
  bool has(ReadFrom from) const { return from == ReadFrom::kDevice || import_ != nullptr; }
  // Why host memory cannot be read by the device; ok where it can.
  const Status& import_refusal() const { return import_refusal_; }
  uint64_t device_bytes() const { return slab_[0].size_bytes(); }
  uint64_t host_bytes() const { return arena_->size_bytes(); }
  // Of these the timed copies and reads take at most this much at once.
  uint64_t most_copy_bytes() const { return std::min(device_bytes(), host_bytes()); }

  // One batch of `copies` copies to the device of `copy_bytes` each, at most most_copy_bytes() together, until they are there.
  Result<uint64_t> copy_ns(CopyPath path, uint32_t copies, uint64_t copy_bytes);
  // The host's threads write `bytes` in place; only where has(kMapped).
  Result<uint64_t> write_ns(uint64_t bytes);
  // The device reads `bytes` (a multiple of 16, at most what there is), `times` over (at most ReadSum::kMostReads) in one submit.
  Result<uint64_t> read_ns(ReadFrom from, uint64_t bytes, uint32_t times);
  // The host's threads read the whole of host_bytes().
  Result<uint64_t> host_read_ns();
  // A submit of nothing, until it is done.
  Result<uint64_t> round_trip_ns() { return reader_->round_trip_ns(); }
  // Two small dispatches in one submit; and in two with a look of the host at the first one's result between them.
  Result<uint64_t> pair_ns(bool stop_between) { return reader_->pair_ns(slab_[0].address(), stop_between); }

  // What the first reading of the last read_ns found: the sum of all words, modulo 2^32.
  uint32_t last_sum() const { return reader_->last_sum(); }
  std::span<std::byte> host() { return arena_->bytes(); }

 private:
  LinkMeter(DeviceMemory& memory, const LinkMeterOptions& options);
  Status init();
  Status make_slab();
  void make_links();
  Status warm_staging();
  // The next `bytes` of the host memory, which go round, so that the CPU's caches do not hold them.
  std::span<const std::byte> next_source(uint64_t bytes);

  DeviceMemory& memory_;
  Device& device_;
  const LinkMeterOptions options_;
  std::unique_ptr<HostArena> arena_;
  std::unique_ptr<HostImport> import_;
  Status import_refusal_;
  std::array<Buffer, 1> slab_;
  std::array<std::unique_ptr<LinkVulkan>, kCopyPaths> links_;
  std::unique_ptr<ReadSum> reader_;
  uint64_t source_offset_bytes_ = 0;
  uint64_t host_sum_ = 0;  // of host_read_ns, so that it is computed
};

}  // namespace hotset
