// Which instruction sets this machine's CPU has and its operating system keeps the registers of. Read once; any thread.
#pragma once

namespace hotset {

struct CpuFeatures {
  bool avx2 = false;          // AVX2, FMA and F16C
  bool avx512_vnni = false;   // AVX-512 F, BW, VL, DQ and VNNI, beside avx2
  bool neon_dotprod = false;  // NEON with SDOT
};

const CpuFeatures& cpu_features();

}  // namespace hotset
