#include "platform/cpu_features.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace hotset {
namespace {

#if defined(__x86_64__)

constexpr bool has(uint32_t bits, uint32_t wanted) { return (bits & wanted) == wanted; }

// The register state that the operating system saves: bits 1, 2 for AVX (xmm, ymm), 5 to 7 for AVX-512 (masks, zmm).
uint32_t saved_state() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

CpuFeatures detect() {
  CpuFeatures found;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C)) return found;
  const uint32_t state = saved_state();
  if (!has(state, 0x06) || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  found.avx2 = has(b, bit_AVX2);
  found.avx512_vnni = found.avx2 && has(state, 0xe6) && has(b, bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ) &&
                      has(c, bit_AVX512VNNI);
  return found;
}

#elif defined(__aarch64__) && defined(__linux__)

CpuFeatures detect() {
  constexpr unsigned long kAsimdDotProduct = 1ul << 20;  // HWCAP_ASIMDDP
  return {.neon_dotprod = (getauxval(AT_HWCAP) & kAsimdDotProduct) != 0};
}

#else

CpuFeatures detect() { return {}; }

#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures kFound = detect();
  return kFound;
}

}  // namespace hotset
