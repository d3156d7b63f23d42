// Backend: what runs a model's operations: a Vulkan device or the CPU.
//
// Owned by the engine; it outlives the Ops and the memory made from it. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "platform/status.h"
#include "platform/vulkan/buffer_copies.h"
#include "platform/vulkan/memory.h"
#include "platform/vulkan/upload.h"
#include "runtime/compute/ops.h"

namespace hotset {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const std::string& name() const = 0;
  virtual const DeviceLimits& limits() const = 0;
  // Free and total bytes of the memory that weights and caches live in.
  virtual DeviceBudget budget() const = 0;
  // Memory for this backend under a hard budget.
  virtual std::unique_ptr<DeviceMemory> make_memory(uint64_t budget_bytes) = 0;
  // Most device time of a submit of the Ops made from now on, but for operations that take longer alone; 0, as at first: submits are as
  // long as they come. `copy_bytes`: what a submit of copies may move in it, for those on the queue that computes (slice_bytes of link_model.h),
  // of the uploaders and copies made from now on. Nothing on the CPU.
  virtual void set_slice(uint64_t slice_ns, uint64_t copy_bytes) = 0;
  // Most bytes of a submit of copies to VRAM; 0: no bound, for there is no slice, or copies have a queue of their own.
  virtual uint64_t upload_submit_bytes() const = 0;
  // `control`: address of a shaders::Control that the host fills before each submit.
  virtual std::unique_ptr<Ops> make_ops(uint64_t control) = 0;
  // A way of filling buffers while a model loads, in pieces of at most `most_bytes`.
  virtual std::unique_ptr<Uploader> make_uploader(DeviceMemory& memory, uint64_t most_bytes) = 0;
  // A way of reading and changing what it works on, in pieces of `piece_bytes`.
  virtual std::unique_ptr<BufferCopies> make_copies(DeviceMemory& memory, uint64_t piece_bytes) = 0;
  // Until all that was submitted is done, or the device is lost.
  virtual void wait_idle() = 0;
  virtual uint64_t submit_count() const = 0;
  // Keeps what was compiled for the next start; a failure only costs time then.
  virtual void save_programs() = 0;
  // The Vulkan device; nullptr on the CPU.
  virtual Device* device() = 0;
};

}  // namespace hotset
