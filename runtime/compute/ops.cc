#include "runtime/compute/ops.h"

namespace hotset {

Status Ops::begin(VkCommandBuffer commands) {
  hazards_.clear();
  status_ = ok_status();
  HOTSET_RETURN_IF_ERROR(recorder_.begin(commands));
  // What earlier segments of the same submit or queue wrote.
  recorder_.barrier(Access::kShader, Access::kShader);
  return ok_status();
}

Status Ops::end() {
  recorder_.barrier(Access::kShader, Access::kHost);
  const Status ended = recorder_.end();
  return status_.ok() ? ended : status_;
}

void Ops::order(std::initializer_list<Tensor> reads, std::initializer_list<Tensor> writes) {
  if (hazards_.note(reads, writes)) recorder_.barrier(Access::kShader, Access::kShader);
}

const Program* Ops::program(const ProgramKey& key) {
  const auto made = programs_.get(key);
  if (made.ok()) {
    current_ = *made;
    return &current_;
  }
  if (status_.ok()) status_ = made.status();
  return nullptr;
}

void Ops::matmul(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, Phase phase, const Tensor* residual) {
  if (phase == Phase::kDecode) {
    matmul_decode(w, x, out, n, residual);
  } else {
    matmul_batch(w, x, out, n, residual);
  }
}

}  // namespace hotset
