#include "runtime/engine/gpu_shapes.h"

#include <string>
#include <vector>

#include "runtime/engine/near_names.h"

namespace hotset {
namespace {

// Shares of what is sold. Decode with dense 4-bit weights reaches 85 to 92 % of a mid-range card's VRAM peak and 60 to
// 71 % of the fastest card's; the experts' kernels reached 59 % of it for 17 MB of them and 84 % for 52 MB.
constexpr double kDenseShare = 0.85;
constexpr double kExpertShare = 0.6;
constexpr double kFastestVram = 1.2e12;  // cards above it reach less, as they lack time to hide latencies
constexpr double kFastestDenseShare = 0.65;
constexpr double kFastestExpertShare = 0.45;

// Copies of 5, 20 and 40 MiB over PCIe 4 x16 went at 20, 24 and 25 GiB/s: 60 us each and nine tenths of the link.
constexpr double kCopyShare = 0.9;
constexpr uint64_t kCopyNs = 60000;

// Shaders that read host memory in place: 3 GiB/s over PCIe 4 x8 is the one figure there is.
constexpr double kInPlaceShare = 0.2;

constexpr double kCpuShareOfRam = 0.7;  // an 8-thread CPU ran experts at 61 to 70 GB/s of a peak of 90
constexpr uint64_t kStopNs = 100000;    // a blocking or spinning round trip costs 60 to 250 us
constexpr uint64_t kDiskNs = 100000;

constexpr uint64_t kGb = 1ull << 30;

constexpr double lane_bytes_per_s(uint32_t generation) {
  // 8, 16 and 32 GT/s with 128 of 130 bits of use.
  return generation == 0 ? 0 : static_cast<double>(1u << (generation - 3)) * 8e9 / 8 * 128 / 130;
}

// name, VRAM, peak bytes per s, PCIe generation and lanes
constexpr GpuShape kShapes[] = {
    {"RTX 2060 6GB", 6 * kGb, 336e9, 3, 16},
    {"RTX 2070 8GB", 8 * kGb, 448e9, 3, 16},
    {"RTX 2080 Ti 11GB", 11 * kGb, 616e9, 3, 16},
    {"RTX 3060 12GB", 12 * kGb, 360e9, 4, 16},
    {"RTX 3060 Ti 8GB", 8 * kGb, 448e9, 4, 16},
    {"RTX 3070 8GB", 8 * kGb, 448e9, 4, 16},
    {"RTX 3080 10GB", 10 * kGb, 760e9, 4, 16},
    {"RTX 3080 Ti 12GB", 12 * kGb, 912e9, 4, 16},
    {"RTX 3090 24GB", 24 * kGb, 936e9, 4, 16},
    {"RTX 3090 Ti 24GB", 24 * kGb, 1008e9, 4, 16},
    {"RTX 4060 8GB", 8 * kGb, 272e9, 4, 8},
    {"RTX 4060 Ti 8GB", 8 * kGb, 288e9, 4, 8},
    {"RTX 4060 Ti 16GB", 16 * kGb, 288e9, 4, 8},
    {"RTX 4070 12GB", 12 * kGb, 504e9, 4, 16},
    {"RTX 4070 Super 12GB", 12 * kGb, 504e9, 4, 16},
    {"RTX 4070 Ti 12GB", 12 * kGb, 504e9, 4, 16},
    {"RTX 4070 Ti Super 16GB", 16 * kGb, 672e9, 4, 16},
    {"RTX 4080 16GB", 16 * kGb, 717e9, 4, 16},
    {"RTX 4080 Super 16GB", 16 * kGb, 736e9, 4, 16},
    {"RTX 4090 24GB", 24 * kGb, 1008e9, 4, 16},
    {"RTX 5060 8GB", 8 * kGb, 448e9, 5, 8},
    {"RTX 5060 Ti 8GB", 8 * kGb, 448e9, 5, 8},
    {"RTX 5060 Ti 16GB", 16 * kGb, 448e9, 5, 8},
    {"RTX 5070 12GB", 12 * kGb, 672e9, 5, 16},
    {"RTX 5070 Ti 16GB", 16 * kGb, 896e9, 5, 16},
    {"RTX 5080 16GB", 16 * kGb, 960e9, 5, 16},
    {"RTX 5090 32GB", 32 * kGb, 1792e9, 5, 16},
    {"RX 6600 8GB", 8 * kGb, 224e9, 4, 8},
    {"RX 6600 XT 8GB", 8 * kGb, 256e9, 4, 8},
    {"RX 6700 XT 12GB", 12 * kGb, 384e9, 4, 16},
    {"RX 6800 16GB", 16 * kGb, 512e9, 4, 16},
    {"RX 6800 XT 16GB", 16 * kGb, 512e9, 4, 16},
    {"RX 6900 XT 16GB", 16 * kGb, 512e9, 4, 16},
    {"RX 6950 XT 16GB", 16 * kGb, 576e9, 4, 16},
    {"RX 7600 8GB", 8 * kGb, 288e9, 4, 8},
    {"RX 7600 XT 16GB", 16 * kGb, 288e9, 4, 8},
    {"RX 7700 XT 12GB", 12 * kGb, 432e9, 4, 16},
    {"RX 7800 XT 16GB", 16 * kGb, 624e9, 4, 16},
    {"RX 7900 GRE 16GB", 16 * kGb, 576e9, 4, 16},
    {"RX 7900 XT 20GB", 20 * kGb, 800e9, 4, 16},
    {"RX 7900 XTX 24GB", 24 * kGb, 960e9, 4, 16},
    {"RX 9060 XT 8GB", 8 * kGb, 320e9, 5, 16},
    {"RX 9060 XT 16GB", 16 * kGb, 320e9, 5, 16},
    {"RX 9070 16GB", 16 * kGb, 640e9, 5, 16},
    {"RX 9070 XT 16GB", 16 * kGb, 640e9, 5, 16},
    {"Arc A750 8GB", 8 * kGb, 512e9, 4, 16},
    {"Arc A770 16GB", 16 * kGb, 560e9, 4, 16},
    {"Arc B570 10GB", 10 * kGb, 380e9, 4, 8},
    {"Arc B580 12GB", 12 * kGb, 456e9, 4, 8},
    {"Radeon 780M", 0, 90e9, 0, 0},
    {"Radeon 890M", 0, 120e9, 0, 0},
    {"Strix Halo", 0, 256e9, 0, 0},
    {"Apple M4", 0, 120e9, 0, 0},
    {"Apple M4 Pro", 0, 273e9, 0, 0},
    {"Apple M4 Max", 0, 546e9, 0, 0},
    {"Apple M3 Ultra", 0, 819e9, 0, 0},
};

}  // namespace

std::span<const GpuShape> gpu_shapes() { return kShapes; }

Result<const GpuShape*> find_gpu_shape(std::string_view name) {
  const std::string plain = plain_name(name);
  std::vector<std::string_view> names;
  std::vector<const GpuShape*> unfinished;  // names that lack only the size at their end
  for (const GpuShape& shape : kShapes) {
    const std::string whole = plain_name(shape.name);
    if (whole == plain) return &shape;
    if (!shape.unified() && plain == plain_name(shape.name.substr(0, shape.name.rfind(' ')))) unfinished.push_back(&shape);
    names.push_back(shape.name);
  }
  if (unfinished.size() == 1) return unfinished.front();
  return error(Code::kNotFound, "no GPU is called '%.64s'%s (--list names all)", std::string(name).c_str(), did_you_mean(name, names).c_str());
}

double dense_bytes_per_s(const GpuShape& gpu) {
  return gpu.vram_bytes_per_s * (gpu.vram_bytes_per_s > kFastestVram ? kFastestDenseShare : kDenseShare);
}

LinkRates expected_rates(const GpuShape& gpu, const HostShape& host) {
  LinkRates rates;
  rates.device_bytes_per_s = gpu.vram_bytes_per_s * (gpu.vram_bytes_per_s > kFastestVram ? kFastestExpertShare : kExpertShare);
  rates.ram_bytes_per_s = host.ram_bytes_per_s;
  rates.disk_bytes_per_s = host.disk_bytes_per_s;
  rates.disk_ns = kDiskNs;
  rates.stop_ns = kStopNs;
  if (gpu.unified()) {
    rates.unified = true;
    rates.ram_bytes_per_s = gpu.vram_bytes_per_s * kDenseShare;
    rates.in_place_bytes_per_s = rates.device_bytes_per_s;
  } else {
    const double link_bytes_per_s = lane_bytes_per_s(gpu.pcie_generation) * gpu.pcie_lanes;
    rates.copy_bytes_per_s = link_bytes_per_s * kCopyShare;
    rates.copy_ns = kCopyNs;
    rates.in_place_bytes_per_s = link_bytes_per_s * kInPlaceShare;
  }
  rates.cpu_bytes_per_s = host.cpu_bytes_per_s > 0 ? host.cpu_bytes_per_s : kCpuShareOfRam * host.ram_bytes_per_s;
  return rates;
}

}  // namespace hotset
