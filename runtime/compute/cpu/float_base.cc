#include "runtime/compute/cpu/float_body.h"

namespace hotset::cpu {

extern const FloatKernels kBaseFloatKernels = make_set("base");

}  // namespace hotset::cpu
