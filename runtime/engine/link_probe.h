// LinkProbe: what the links of this machine carry, by measurement. runtime/engine/link_file.h keeps it from start to start.
//
// A measurement takes 100 to 300 ms and some tens of MiB of RAM and of the VRAM budget meanwhile. Advice only: results never depend
// on it. One thread; nothing else may use the device at the time.
#pragma once

#include <array>
#include <functional>

#include "offload/link_model.h"
#include "offload/link_vulkan.h"
#include "runtime/engine/link_meter.h"

namespace hotset {

// Time of a batch of copies: batch_ns + bytes / bytes_per_s. Rate 0: there is no such way.
struct CopyRate {
  double bytes_per_s = 0;
  double batch_ns = 0;
  double ns(double bytes) const { return batch_ns + bytes / bytes_per_s * 1e9; }
};

struct LinkProbe {
  // Filled: all but the disk's, and what LinkProbeOptions::kernels leaves out. The device's rates are those of a plain read, or of the
  // expert kernels where they are slower.
  LinkRates rates;
  CopyPath copy_path = CopyPath::kStaging;  // the fastest for a few experts at a time
  std::array<CopyRate, kCopyPaths> copies;  // [CopyPath]
  double write_bytes_per_s = 0;             // kMapped with all threads of the host
  double round_trip_ns = 0;                 // an empty submit, until it is done
};

// What kernels reach, whatever the links carry. 0: not measured.
struct KernelRates {
  double device_bytes_per_s = 0;  // of quantised weights, out of the device's own memory
  double cpu_bytes_per_s = 0;     // the same on the CPU
  uint64_t operation_ns = 0;      // LinkRates
  uint64_t submit_ns = 0;
};

struct LinkProbeOptions {
  LinkMeterOptions meter = {.device_bytes = 0};  // 0: as the device's size has it
  uint64_t rounds_ns = 150'000'000;              // how long measures take turns; at least three times
  std::function<Result<KernelRates>()> kernels;  // measures them; empty: they are left out
};

// Measures now. Errors: those of LinkMeter and of `kernels`.
Result<LinkProbe> measure_links(DeviceMemory& memory, const LinkProbeOptions& options);

}  // namespace hotset
