#include "runtime/engine/backend_choice.h"

#include <algorithm>
#include <cstring>

#include "platform/clock.h"
#include "platform/log.h"
#include "runtime/compute/backend_cpu.h"
#include "runtime/compute/backend_vulkan.h"

namespace hotset {
namespace {

// A product as a decoder of a mid-sized model has them, 18 MiB of weights.
constexpr uint32_t kRows = 16384;
constexpr uint32_t kCols = 2048;
constexpr int kTries = 4;

}  // namespace

Result<double> measure_matvec_bytes_per_s(Backend& backend) {
  const uint64_t weight_bytes = kRows * row_bytes(BlockType::kQ4_K, kCols).value();
  const auto memory = backend.make_memory(UINT64_MAX >> 1);
  HOTSET_ASSIGN(const Buffer weights, memory->allocate(weight_bytes + 256, MemoryKind::kDevice, "trial weights"));
  HOTSET_ASSIGN(const Buffer values, memory->allocate((kRows + kCols) * sizeof(float), MemoryKind::kDevice, "trial activations"));
  HOTSET_ASSIGN(const Buffer control, memory->allocate(sizeof(shaders::Control), MemoryKind::kShared, "trial control"));
  std::memset(control.mapped().data(), 0, control.mapped().size());
  if (!weights.mapped().empty()) std::memset(weights.mapped().data(), 0, weights.mapped().size());
  if (!values.mapped().empty()) std::memset(values.mapped().data(), 0, values.mapped().size());
  const auto ops = backend.make_ops(control.address());
  HOTSET_ASSIGN(const SegmentId segment, ops->new_segment());
  HOTSET_RETURN_IF_ERROR(ops->begin(segment));
  ops->matmul({BlockType::kQ4_K, kRows, kCols, weights.address()}, {values.address(), kCols * sizeof(float)},
              {values.address() + kCols * sizeof(float), kRows * sizeof(float)}, 1, Phase::kDecode);
  HOTSET_RETURN_IF_ERROR(ops->end());
  uint64_t best_ns = UINT64_MAX;
  for (int i = 0; i < kTries; ++i) {
    const uint64_t start_ns = now_ns();
    HOTSET_ASSIGN(const uint64_t point, ops->submit({&segment, 1}));
    HOTSET_RETURN_IF_ERROR(ops->wait(point));
    best_ns = std::min(best_ns, now_ns() - start_ns);
  }
  backend.wait_idle();
  return static_cast<double>(weight_bytes) / static_cast<double>(best_ns) * 1e9;
}

double measure_cpu_bytes_per_s(uint32_t threads) {
  const auto cpu = BackendCpu::open(threads);
  if (!cpu.ok()) return 0;
  const auto measured = measure_matvec_bytes_per_s(**cpu);
  return measured.ok() ? *measured : 0;
}

Result<std::unique_ptr<Backend>> open_backend(const EngineOptions& options) {
  if (options.device == "cpu") return BackendCpu::open(options.threads);
  const bool any_vulkan = options.device == "vulkan";
  auto vulkan = BackendVulkan::open({any_vulkan ? "auto" : options.device, options.validation, options.seams});
  if (options.device != "auto" || options.validation || (options.vram && vulkan.ok())) return vulkan;
  if (!vulkan.ok()) {
    log_line(LogLevel::kInfo, "the CPU runs the model: %s", vulkan.status().message().c_str());
    return BackendCpu::open(options.threads);
  }
  if (!(*vulkan)->limits().software) return vulkan;
  HOTSET_ASSIGN(auto cpu, BackendCpu::open(options.threads));
  const auto of_cpu = measure_matvec_bytes_per_s(*cpu);
  const auto of_vulkan = measure_matvec_bytes_per_s(**vulkan);
  if (!of_cpu.ok() || (of_vulkan.ok() && *of_vulkan > *of_cpu)) return vulkan;
  log_line(LogLevel::kInfo, "the CPU runs the model: %.1f GB/s of weights, %.1f on %s", *of_cpu * 1e-9, of_vulkan.ok() ? *of_vulkan * 1e-9 : 0.0,
           (*vulkan)->name().c_str());
  return cpu;
}

}  // namespace hotset
