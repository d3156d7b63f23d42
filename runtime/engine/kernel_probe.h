// KernelProbe: what the kernels of a backend cost, by measurement. Some tens of milliseconds and of MiB; advice only. One thread.
#pragma once

#include "runtime/compute/backend.h"
#include "runtime/engine/link_probe.h"

namespace hotset {

// Bytes of Q4_K weights a second that the backend multiplies with one activation, out of a matrix larger than most
// caches; the best of a few tries. Error: the device's.
Result<double> measure_matvec_bytes_per_s(Backend& backend);

// The same of the CPU with `threads` threads, for beside a GPU; 0 when it could not be measured.
double measure_cpu_bytes_per_s(uint32_t threads);

// What is paid whatever the size of the work.
struct FixedCosts {
  uint64_t operation_ns = 0;  // a small product that waits for the one before
  uint64_t submit_ns = 0;     // a submit and the wait for it
};
// The median of a few tries. Error: the device's.
Result<FixedCosts> measure_fixed_costs(Backend& backend);

// All of these. `threads` 0: without the CPU. Error: the device's.
Result<KernelRates> measure_kernels(Backend& backend, uint32_t threads);

}  // namespace hotset
