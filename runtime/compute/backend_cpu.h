// BackendCpu: operations on the CPU. Its memory is the host's; an address is a pointer.
#pragma once

#include "platform/thread_pool.h"
#include "runtime/compute/backend.h"

namespace hotset {

class BackendCpu final : public Backend {
 public:
  // With `threads` threads, the caller's among them; 0: one a core.
  static Result<std::unique_ptr<Backend>> open(uint32_t threads);

  const std::string& name() const override { return name_; }
  const DeviceLimits& limits() const override { return host_limits(); }
  DeviceBudget budget() const override;
  std::unique_ptr<DeviceMemory> make_memory(uint64_t budget_bytes) override { return std::make_unique<DeviceMemory>(budget_bytes); }
  void set_slice(uint64_t, uint64_t) override {}
  uint64_t upload_submit_bytes() const override { return 0; }
  std::unique_ptr<Ops> make_ops(uint64_t control) override;
  std::unique_ptr<Uploader> make_uploader(DeviceMemory& memory, uint64_t most_bytes) override;
  std::unique_ptr<BufferCopies> make_copies(DeviceMemory& memory, uint64_t piece_bytes) override;
  void wait_idle() override {}
  uint64_t submit_count() const override { return submits_; }
  void save_programs() override {}
  Device* device() override { return nullptr; }

 private:
  explicit BackendCpu(uint32_t threads);

  ThreadPool pool_;
  const std::string name_;
  uint64_t submits_ = 0;  // of all Ops
};

}  // namespace hotset
