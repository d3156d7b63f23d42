#include "runtime/model/decode_cost.h"

#include <algorithm>

namespace hotset {
namespace {

// The router's product, the choice, the first and the last product of the experts.
constexpr uint32_t kMoeOperations = 4;

bool multiplies(const Step& step, const TensorInfo* tensor) {
  const auto* matmul = std::get_if<MatmulStep>(&step);
  return matmul && std::any_of(matmul->products.begin(), matmul->products.end(), [&](const ProductSpec& p) { return p.matrix.tensor == tensor; });
}

}  // namespace

uint32_t decode_operations(const ModelSpec& spec) {
  const size_t steps = spec.steps.size() + spec.head.size() + spec.moes.size() * (kMoeOperations - 1);
  return static_cast<uint32_t>(steps);
}

uint64_t embedding_only_bytes(const ModelSpec& spec) {
  uint64_t bytes = 0;
  for (const Step& step : spec.steps) {
    const auto* embed = std::get_if<EmbedStep>(&step);
    if (!embed || embed->table.tensor == nullptr) continue;
    const auto uses = [&](const Step& other) { return multiplies(other, embed->table.tensor); };
    const bool tied = std::any_of(spec.steps.begin(), spec.steps.end(), uses) || std::any_of(spec.head.begin(), spec.head.end(), uses);
    if (!tied) bytes += embed->table.tensor->size_bytes;
  }
  return bytes;
}

}  // namespace hotset
