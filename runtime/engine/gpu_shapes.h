// Common GPUs and what they are sold with, and the link rates that follow before anything is measured. Constant data and pure
// functions; any thread.
//
// The shares of the peak that are reached in practice are measured ones of peers, and are stated where they are used (gpu_shapes.cc).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "offload/link_model.h"
#include "platform/status.h"

namespace hotset {

struct GpuShape {
  std::string_view name;
  uint64_t vram_bytes = 0;         // 0: it shares the machine's RAM
  double vram_bytes_per_s = 0;     // peak
  uint32_t pcie_generation = 0;
  uint32_t pcie_lanes = 0;
  bool unified() const { return vram_bytes == 0; }
};

std::span<const GpuShape> gpu_shapes();

// Letters and digits alone count. Error (kNotFound): what else it may have meant.
Result<const GpuShape*> find_gpu_shape(std::string_view name);

// What the rest of the machine has. The defaults are those of a desktop with two channels of DDR5 and a PCIe 4 drive.
struct HostShape {
  double ram_bytes_per_s = 60e9;   // reached, of a peak of 80 to 90
  double disk_bytes_per_s = 5.5e9;  // reached with deep queues, of a peak of 7
  double cpu_bytes_per_s = 0;      // expert kernels; 0: kCpuShareOfRam of the RAM's rate
};

LinkRates expected_rates(const GpuShape& gpu, const HostShape& host);

// Dense kernels, which read long rows and come nearer to the peak than experts do.
double dense_bytes_per_s(const GpuShape& gpu);

// Launches and barriers of one layer, whatever its bytes.
constexpr double kLayerFixedNs = 50000;

}  // namespace hotset
