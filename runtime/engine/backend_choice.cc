#include "runtime/engine/backend_choice.h"

#include "platform/log.h"
#include "runtime/compute/backend_cpu.h"
#include "runtime/compute/backend_vulkan.h"
#include "runtime/engine/kernel_probe.h"

namespace hotset {

namespace {

Result<std::unique_ptr<Backend>> open_on_caller_device(const EngineOptions& options) {
  if (options.device != "auto" && options.device != "vulkan") {
    return error(Code::kInvalidArgument, "the device '%s' was asked for beside one of the caller's: leave it at auto", options.device.c_str());
  }
  if (options.validation) return error(Code::kInvalidArgument, "the caller's instance says whether there are validation layers: leave validation off");
  DeviceOptions device;
  device.seams = options.seams;
  device.caller = options.caller_device;
  return BackendVulkan::open(device);
}

}  // namespace

Result<std::unique_ptr<Backend>> open_backend(const EngineOptions& options) {
  if (options.caller_device) return open_on_caller_device(options);
  if (options.device == "cpu") return BackendCpu::open(options.threads);
  const bool any_vulkan = options.device == "vulkan";
  DeviceOptions device = {any_vulkan ? "auto" : options.device, options.validation, options.seams};
  device.low_priority = options.gpu_priority == GpuPriority::kLow;
  auto vulkan = BackendVulkan::open(device);
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
