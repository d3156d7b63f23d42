#include "runtime/compute/backend_cpu.h"

#include "platform/host_memory.h"
#include "platform/threads.h"
#include "runtime/compute/cpu/ops_cpu.h"

namespace hotset {

BackendCpu::BackendCpu(uint32_t threads)
    : pool_(threads),
      name_(std::string("CPU (") + cpu::kernels().name + ", " + std::to_string(pool_.threads()) + (pool_.threads() == 1 ? " thread)" : " threads)")) {}

Result<std::unique_ptr<Backend>> BackendCpu::open(uint32_t threads) {
  constexpr uint32_t kMostThreads = 1024;
  if (threads > kMostThreads) return error(Code::kInvalidArgument, "%u threads are more than the %u that can be used", threads, kMostThreads);
  return std::unique_ptr<Backend>(new BackendCpu(resolve_threads(threads)));
}

DeviceBudget BackendCpu::budget() const {
  const HostMemoryInfo info = host_memory_info();
  return {.total_bytes = info.total_bytes, .free_bytes = info.available_bytes};
}

std::unique_ptr<Ops> BackendCpu::make_ops(uint64_t control) { return std::make_unique<OpsCpu>(pool_, control, submits_); }

std::unique_ptr<Uploader> BackendCpu::make_uploader(DeviceMemory& memory, uint64_t most_bytes) {
  return std::make_unique<Uploader>(memory, nullptr, most_bytes);
}

std::unique_ptr<BufferCopies> BackendCpu::make_copies(DeviceMemory& memory, uint64_t piece_bytes) {
  return std::make_unique<BufferCopies>(memory, nullptr, piece_bytes);
}

}  // namespace hotset
