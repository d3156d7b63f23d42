// Ops: products of many tokens.
#include <algorithm>

#include "platform/check.h"
#include "runtime/compute/ops.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

// Features a lane of combine adds up: enough work to outweigh the start of a workgroup.
constexpr uint32_t kCombineRuns = 8;

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
  const Program* multiply = program({"matmul", shaders::matmul, {lanes, batch_.lane_rows, tile_tokens, static_cast<uint32_t>(w.type)}});
  if (multiply == nullptr) return;
  order({x, residual == nullptr ? Tensor{} : *residual}, {out});
  const shaders::MatmulPush push = {control_, w.address, x.address, out.address, residual == nullptr ? 0 : residual->address,
                                    w.rows,   w.cols,    row_bytes, n};
  recorder_.dispatch(*multiply, push, together, ceil_div(w.rows, lanes * batch_.lane_rows), ceil_div(tiles, together));
}

void Ops::expert_up_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& x, const Tensor& hidden) {
  HOTSET_CHECK(shape.embd % 32 == 0);
  if (tile_count == 0) return;
  const uint32_t lanes = device_.limits().subgroup_size;
  const Program* up = program({"expert_up_batch", shaders::expert_up_batch,
                               {lanes, 2, kTilePairs, static_cast<uint32_t>(shape.gate_type), static_cast<uint32_t>(shape.up_type)}});
  if (up == nullptr) return;
  order({x}, {hidden});
  const shaders::ExpertBatchPush push = {control_,          tiles,
                                         pairs,             x.address,
                                         hidden.address,    shape.ff,
                                         shape.embd,        shape.used,
                                         shape.gate_offset, row_bytes_of(shape.gate_type, shape.embd),
                                         shape.up_offset,   row_bytes_of(shape.up_type, shape.embd)};
  recorder_.dispatch(*up, push, ceil_div(shape.ff, lanes), tile_count);
}

void Ops::expert_down_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& hidden, const Tensor& parts) {
  HOTSET_CHECK(shape.ff % 32 == 0);
  if (tile_count == 0) return;
  const uint32_t lanes = device_.limits().subgroup_size;
  const Program* down =
      program({"expert_down_batch", shaders::expert_down_batch, {lanes, batch_.lane_rows, kTilePairs, static_cast<uint32_t>(shape.down_type)}});
  if (down == nullptr) return;
  order({hidden}, {parts});
  const shaders::ExpertBatchPush push = {control_,   tiles,      pairs,      hidden.address,    parts.address,
                                         shape.embd, shape.ff,   shape.used, shape.down_offset, row_bytes_of(shape.down_type, shape.ff),
                                         0,          0};
  recorder_.dispatch(*down, push, ceil_div(shape.embd, lanes * batch_.lane_rows), tile_count);
}

void Ops::combine(const ExpertShape& shape, const Tensor& weights, const Tensor& parts, const Tensor& out, uint32_t n) {
  const uint32_t lanes = device_.limits().subgroup_size;
  const Program* add = program({"combine", shaders::combine, {lanes, kCombineRuns}});
  if (add == nullptr) return;
  order({weights, parts, out}, {out});
  const shaders::CombinePush push = {control_, weights.address, parts.address, out.address, shape.used, shape.embd};
  recorder_.dispatch(*add, push, ceil_div(shape.embd, lanes * kCombineRuns), n);
}

}  // namespace hotset
