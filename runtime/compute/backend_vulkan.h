// BackendVulkan: operations on a Vulkan device.
#pragma once

#include "runtime/compute/backend.h"
#include "runtime/compute/programs.h"

namespace hotset {

class BackendVulkan final : public Backend {
 public:
  // Errors: no such device, or one that lacks what is needed.
  static Result<std::unique_ptr<Backend>> open(const DeviceOptions& options);

  const std::string& name() const override { return device_->name(); }
  const DeviceLimits& limits() const override { return device_->limits(); }
  DeviceBudget budget() const override { return device_->budget(); }
  std::unique_ptr<DeviceMemory> make_memory(uint64_t budget_bytes) override;
  void set_slice(uint64_t slice_ns, uint64_t copy_bytes) override {
    slice_ns_ = slice_ns;
    copy_bytes_ = copy_bytes;
  }
  uint64_t upload_submit_bytes() const override { return device_->has_own_transfer_queue() ? 0 : copy_bytes_; }
  std::unique_ptr<Ops> make_ops(uint64_t control) override;
  std::unique_ptr<Uploader> make_uploader(DeviceMemory& memory, uint64_t most_bytes) override;
  std::unique_ptr<BufferCopies> make_copies(DeviceMemory& memory, uint64_t piece_bytes) override;
  void wait_idle() override { device_->wait_idle(); }
  uint64_t submit_count() const override { return device_->compute().submit_count(); }
  void save_programs() override;
  Device* device() override { return device_.get(); }

 private:
  BackendVulkan() = default;

  std::unique_ptr<Device> device_;
  std::unique_ptr<Programs> programs_;
  uint64_t slice_ns_ = 0;
  uint64_t copy_bytes_ = 0;
};

}  // namespace hotset
