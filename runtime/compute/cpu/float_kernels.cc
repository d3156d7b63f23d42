#include "runtime/compute/cpu/float_kernels.h"

#include "platform/cpu_features.h"

namespace hotset::cpu {

extern const FloatKernels kBaseFloatKernels;
#if defined(__x86_64__)
extern const FloatKernels kAvx2FloatKernels;
extern const FloatKernels kAvx512FloatKernels;
#endif

namespace {

struct Sets {
  const FloatKernels* sets[3] = {&kBaseFloatKernels};
  size_t count = 1;
};

Sets find_sets() {
  Sets found;
#if defined(__x86_64__)
  if (cpu_features().avx2) found.sets[found.count++] = &kAvx2FloatKernels;
  if (cpu_features().avx512_vnni) found.sets[found.count++] = &kAvx512FloatKernels;
#endif
  return found;
}

}  // namespace

std::span<const FloatKernels* const> all_float_kernels() {
  static const Sets found = find_sets();
  return {found.sets, found.count};
}

const FloatKernels& float_kernels() { return *all_float_kernels().back(); }

}  // namespace hotset::cpu
