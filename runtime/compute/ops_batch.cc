// Operations of the batch phase.
#include "runtime/compute/ops.h"

namespace hotset {

void Ops::matmul_batch(const Weight&, const Tensor&, const Tensor&, uint32_t, const Tensor*) {
  if (status_.ok()) status_ = error(Code::kUnsupported, "products of a batch are not built in");
}

}  // namespace hotset
