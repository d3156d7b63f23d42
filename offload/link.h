// DeviceLink: the way of bytes from host memory into device slabs.
//
// One owner thread. Batches (the copies between two submits) take effect in order, so a slot that two of them write
// ends with the later bytes; within a batch no byte is written twice. The source must keep its bytes until the
// value that submit() returned has passed.
#pragma once

#include <cstdint>
#include <span>

#include "offload/expert.h"
#include "platform/status.h"

namespace hotset {

struct DeviceLinkStats {
  uint64_t bytes = 0;    // enqueued copies
  uint64_t copies = 0;
  uint64_t busy_ns = 0;  // time in which at least one copy was under way, as far as the link saw it
};

class DeviceLink {
 public:
  virtual ~DeviceLink() = default;

  // Enqueues a copy of `from` to `offset_bytes` of a slab. May wait for earlier copies when its queue is full.
  virtual Status copy(std::span<const std::byte> from, SlabId slab, uint64_t offset_bytes) = 0;

  // Sends what was enqueued. The value on the link's timeline after which all copies so far are visible to compute
  // submits that wait for it; 0 when they are visible to every later submit without waiting.
  virtual Result<uint64_t> submit() = 0;

  // Forgets the copies enqueued since the last submit(); some may still be carried out.
  virtual void discard() = 0;

  // The value that the link's timeline has reached. Does not wait.
  virtual uint64_t completed() = 0;

  // Returns when the link's timeline has passed `value`, one that submit() returned (0: at once). Error: the device is lost, or
  // makes no progress.
  virtual Status wait(uint64_t value) = 0;

  virtual DeviceLinkStats stats() const = 0;
};

}  // namespace hotset
