#include "runtime/compute/cpu/float_body.h"

namespace hotset::cpu {

extern const FloatKernels kAvx2FloatKernels = make_set("avx2");

}  // namespace hotset::cpu
