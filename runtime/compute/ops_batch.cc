// Ops: products of many tokens.
#include <algorithm>

#include "platform/check.h"
#include "runtime/compute/ops.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

uint32_t ceil_div(uint32_t value, uint32_t by) { return (value + by - 1) / by; }

uint32_t row_bytes_of(BlockType type, uint32_t cols) { return cols / block_elements(type) * block_bytes(type); }

}  // namespace

void Ops::matmul_batch(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, const Tensor* residual) {
  HOTSET_CHECK(w.cols % 32 == 0 && w.cols % block_elements(w.type) == 0);
  const uint32_t lanes = device_.limits().subgroup_size;
  const uint32_t row_bytes = row_bytes_of(w.type, w.cols);
  const uint32_t tile_tokens = n <= 8 ? std::min(8u, batch_.tile_tokens) : batch_.tile_tokens;
  const uint32_t tiles = ceil_div(n, tile_tokens);
  const uint32_t together = std::min(tiles, std::max(1u, batch_.cached_tokens / tile_tokens));
  const Program* multiply = program({"matmul", shaders::matmul, {lanes, static_cast<uint32_t>(w.type), batch_.lane_rows, tile_tokens}});
  if (multiply == nullptr) return;
  order({x, residual == nullptr ? Tensor{} : *residual}, {out});
  const shaders::MatmulPush push = {control_, w.address, x.address, out.address, residual == nullptr ? 0 : residual->address,
                                    w.rows,   w.cols,    row_bytes, n};
  recorder_.dispatch(*multiply, push, together, ceil_div(w.rows, lanes * batch_.lane_rows), ceil_div(tiles, together));
}

void Ops::matmul(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, Phase, const Tensor* residual) {
  matmul_batch(w, x, out, n, residual);
}

}  // namespace hotset
