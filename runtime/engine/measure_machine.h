// Measures the links of this machine for a links file (machine_links.h). About a second; some tens of MiB meanwhile. One thread.
#pragma once

#include <string>

#include "runtime/engine/machine_links.h"

namespace hotset {

struct MeasureOptions {
  std::string device = "auto";  // EngineOptions::device
  uint32_t threads = 0;         // 0: one per core
  std::string disk_path;        // a file on the disk that experts would be read from, of at least 64 MiB; empty: the disk is left out
};

// Errors: no such Vulkan device, no memory for the measurement, a file that cannot be read or is too small.
Result<MachineLinks> measure_machine(const MeasureOptions& options);

// What reading a file in pieces of `block_bytes` past the page cache takes: several at once, and one alone. Error: as above.
struct DiskRates {
  double bytes_per_s = 0;
  uint64_t read_ns = 0;  // of one read, beyond its bytes at that rate
};
Result<DiskRates> measure_disk_rates(const std::string& path, uint64_t block_bytes);

}  // namespace hotset
