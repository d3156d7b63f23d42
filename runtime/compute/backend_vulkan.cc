#include "runtime/compute/backend_vulkan.h"

#include "platform/file.h"
#include "platform/log.h"
#include "runtime/compute/ops_vulkan.h"

namespace hotset {

Result<std::unique_ptr<Backend>> BackendVulkan::open(const DeviceOptions& options) {
  std::unique_ptr<BackendVulkan> backend(new BackendVulkan());
  HOTSET_ASSIGN(backend->device_, Device::open(options));
  const auto cache = cache_directory();
  if (!cache.ok()) log_line(LogLevel::kInfo, "pipelines are not kept: %s", cache.status().message().c_str());
  HOTSET_ASSIGN(backend->programs_, Programs::create(*backend->device_, cache.ok() ? *cache : std::string()));
  return std::unique_ptr<Backend>(std::move(backend));
}

std::unique_ptr<DeviceMemory> BackendVulkan::make_memory(uint64_t budget_bytes) { return std::make_unique<DeviceMemory>(*device_, budget_bytes); }

std::unique_ptr<Ops> BackendVulkan::make_ops(uint64_t control) { return std::make_unique<OpsVulkan>(*device_, *programs_, control, slice_ns_); }

std::unique_ptr<Uploader> BackendVulkan::make_uploader(DeviceMemory& memory, uint64_t most_bytes) {
  return std::make_unique<Uploader>(memory, &programs_->cache(), most_bytes, false, upload_submit_bytes());
}

std::unique_ptr<BufferCopies> BackendVulkan::make_copies(DeviceMemory& memory, uint64_t piece_bytes) {
  return std::make_unique<BufferCopies>(memory, &programs_->cache(), piece_bytes, false, copy_bytes_);
}

void BackendVulkan::save_programs() {
  const Status saved = programs_->cache().save();
  if (!saved.ok()) log_line(LogLevel::kInfo, "pipelines were not kept: %s", saved.message().c_str());
}

}  // namespace hotset
