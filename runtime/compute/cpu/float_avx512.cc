#include "runtime/compute/cpu/float_body.h"

namespace hotset::cpu {

extern const FloatKernels kAvx512FloatKernels = make_set("avx512");

}  // namespace hotset::cpu
