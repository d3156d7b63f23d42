// OpsCpu: the parts that families are composed of: norms, maps, rotation, rows of caches, products by head.
#include "platform/check.h"
#include "runtime/compute/cpu/record.h"

namespace hotset {

using cpu::bytes_of_row;
using cpu::kProductsPerValue;
using cpu::pointer;

void OpsCpu::norm(const NormShape& shape, const Rows& x, uint64_t weight, uint64_t bias, const Rows& out, uint32_t n) {
  const cpu::GroupNormStage stage = {shape,    pointer<const float>(x.address), pointer<const float>(weight), pointer<const float>(bias),
                                     pointer<float>(out.address), x.stride, out.stride, n};
  push(stage, uint64_t{n} * shape.groups * shape.cols);
}

void OpsCpu::map(const Glu& glu, float scale, const Operand& a, const Operand& b, const Operand& c, const Rows& out, uint32_t n, uint32_t cols) {
  HOTSET_CHECK(a.address != 0);
  // A scalar function costs about eight of the values that kernels handle in vectors.
  push(cpu::MapStage{glu, scale, a, b, c, out, n, cols}, uint64_t{8} * n * cols, cpu::MapStage::kOwnBytes);
}

void OpsCpu::rope(const RopeShape& shape, const Rows& x, uint64_t table, uint32_t n) {
  HOTSET_CHECK(shape.dim % 2 == 0);
  const cpu::RopeStage stage = {shape, pointer<float>(x.address), pointer<const float>(table), x.stride, n};
  push(stage, n == 1 ? 0 : uint64_t{n} * shape.heads * shape.dim);
}

void OpsCpu::store_rows(KvElement element, const Rows& x, uint64_t cache, uint32_t row_stride, uint32_t context_tokens, uint32_t cols, uint32_t n,
                        uint32_t every) {
  HOTSET_CHECK(every > 0);
  const cpu::StoreRowsStage stage = {element, pointer<const float>(x.address), cache, x.stride, row_stride, context_tokens, cols, n, every};
  push(stage, n == 1 ? 0 : uint64_t{n} * cols);
}

void OpsCpu::matmul_heads(const HeadsShape& shape, const Weight& w, const Rows& x, const Rows& out, uint32_t n) {
  HOTSET_CHECK(w.rows == shape.heads * (shape.transposed ? shape.cols : shape.rows) && w.cols == (shape.transposed ? shape.rows : shape.cols));
  const uint64_t row_size = bytes_of_row(w.type, w.cols), products = uint64_t{n} * w.rows * w.cols;
  if (shape.transposed) {
    const cpu::TransposedHeadsStage stage = {shape, w, row_size, x, out, n};
    return push(stage, products, stage.own_bytes());
  }
  const uint64_t stride = cpu::activation_bytes(w.type, w.cols), rows = uint64_t{n} * shape.heads;
  shared_bytes_ = std::max(shared_bytes_, rows * stride);
  push(cpu::PrepareHeadsStage{shape, w.type, pointer<const float>(x.address), x.stride, n, 0, stride}, rows * shape.cols);
  push(cpu::HeadsStage{shape, w, row_size, pointer<float>(out.address), out.stride, n, 0, stride}, products / kProductsPerValue);
}

void OpsCpu::select_positions(const SelectShape& shape, const Rows& q, const Rows& weights, uint64_t keys, const Tensor& scratch, const Tensor& mask,
                              uint32_t n) {
  HOTSET_CHECK(can_select(shape) && n > 0);
  const uint32_t together = select_tile(shape, scratch.size_bytes);
  for (uint32_t first = 0; first < n; first += together) {
    const cpu::SelectTile tile = {shape,          pointer<const float>(q.address), pointer<const float>(weights.address), keys,
                                  pointer<float>(scratch), pointer<uint32_t>(mask), q.stride, weights.stride, first, std::min(together, n - first)};
    const cpu::SelectScoresStage scores = {tile};
    const cpu::SelectMaskStage masks = {tile};
    const uint64_t products = uint64_t{tile.tokens} * shape.context_tokens * shape.heads * shape.head_dim;
    push(scores, products / kProductsPerValue, scores.own_bytes());
    push(masks, uint64_t{tile.tokens} * shape.masks() * shape.context_tokens, masks.own_bytes());
  }
}

}  // namespace hotset
