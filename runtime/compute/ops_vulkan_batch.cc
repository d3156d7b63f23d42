// Ops: products of many tokens.
#include <algorithm>

#include "platform/check.h"
#include "runtime/compute/expert_form.h"
#include "runtime/compute/glu_numbers.h"
#include "runtime/compute/ops_vulkan.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

// Features a lane of combine adds up: enough work to outweigh the start of a workgroup.
constexpr uint32_t kCombineRuns = 8;

// Kernels with shared tiles: 64 rows by 32 tokens (8 KiB + 4 KiB of shared memory; every device has 16), 4 x 4 outputs an
// invocation; by kTilePairs tokens for experts, 4 x 1 outputs.
constexpr uint32_t kInvocations = 128;
constexpr uint32_t kSharedRows = 64;
constexpr uint32_t kSharedTokens = 32;
static_assert(kInvocations * 4 * 4 == kSharedRows * kSharedTokens && kInvocations * 4 == kSharedRows * Ops::kTilePairs);

const WeightShader kMatmul = {"matmul", shaders::matmul, shaders::matmul_all};
const WeightShader kMatmulTiled = {"matmul_tiled", shaders::matmul_tiled, shaders::matmul_tiled_all};
const WeightShader kExpertTiled = {"expert_tiled", shaders::expert_tiled, shaders::expert_tiled_all};
const WeightShader kExpertUpBatch = {"expert_up_batch", shaders::expert_up_batch, shaders::expert_up_batch_all};
const WeightShader kExpertDownBatch = {"expert_down_batch", shaders::expert_down_batch, shaders::expert_down_batch_all};

uint32_t number(BlockType type) { return static_cast<uint32_t>(type); }

uint32_t ceil_div(uint32_t value, uint32_t by) { return (value + by - 1) / by; }

uint32_t row_bytes_of(BlockType type, uint32_t cols) { return cols / block_elements(type) * block_bytes(type); }

}  // namespace

void OpsVulkan::matmul_batch(const Weight& w, const Tensor& x, const Tensor& out, uint32_t n, const Tensor* residual) {
  HOTSET_CHECK(w.cols % 32 == 0 && w.cols % block_elements(w.type) == 0);
  const uint32_t lanes = device_.limits().subgroup_size, type = number(w.type);
  const uint32_t tile_tokens = n <= kTilePairs ? std::min(kTilePairs, batch_.tile_tokens) : batch_.tile_tokens;
  const Program* multiply = batch_.shared_tiles ? weight_program(kMatmulTiled, {w.type}, {kInvocations, 4, 4, kSharedTokens, type})
                                                : weight_program(kMatmul, {w.type}, {lanes, batch_.lane_rows, tile_tokens, type});
  if (multiply == nullptr) return;
  order({x, residual == nullptr ? Tensor{} : *residual}, {out});
  shaders::MatmulPush push = {};
  push.control = control_;
  push.weight = w.address;
  push.x = x.address;
  push.out_values = out.address;
  push.residual = residual == nullptr ? 0 : residual->address;
  push.rows = w.rows;
  push.cols = w.cols;
  push.row_bytes = row_bytes_of(w.type, w.cols);
  push.n = n;
  if (batch_.shared_tiles) {
    dispatch(*multiply, push, ceil_div(w.rows, kSharedRows), ceil_div(n, kSharedTokens));
    return;
  }
  const uint32_t tiles = ceil_div(n, tile_tokens);
  const uint32_t together = std::min(tiles, std::max(1u, batch_.cached_tokens / tile_tokens));
  dispatch(*multiply, push, together, ceil_div(w.rows, lanes * batch_.lane_rows), ceil_div(tiles, together));
}

void OpsVulkan::expert_up_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& weights, const Tensor& x,
                                const Tensor& hidden) {
  HOTSET_CHECK(shape.embd % 32 == 0);
  if (tile_count == 0) return;
  const uint32_t lanes = device_.limits().subgroup_size, matrices = shape.has_gate ? 2 : 1;
  const BlockType first_type = shape.has_gate ? shape.gate_type : shape.up_type;
  const uint32_t first = number(first_type), up = number(shape.up_type), f = expert_activation(shape), form = expert_up_form(shape);
  const auto types = {first_type, shape.up_type};
  const Program* rise = batch_.shared_tiles
                            ? weight_program(kExpertTiled, types, {kInvocations, 4, 1, kTilePairs, 1, first, up, f, form, matrices})
                            : weight_program(kExpertUpBatch, types, {lanes, matrices, kTilePairs, first, up, f, form});
  if (rise == nullptr) return;
  const Tensor factors = shape.weight_on_input ? weights : Tensor{};
  order({x, factors}, {hidden});
  shaders::ExpertBatchPush push = {control_, tiles, pairs, x.address, hidden.address, factors.address};
  push.rows = shape.ff;
  push.cols = shape.embd;
  push.used = shape.used;
  push.first_offset = shape.has_gate ? shape.gate_offset : shape.up_offset;
  push.first_row_bytes = row_bytes_of(first_type, shape.embd);
  push.second_offset = shape.up_offset;
  push.second_row_bytes = row_bytes_of(shape.up_type, shape.embd);
  push.gate_bias_offset = shape.gate_bias_offset;
  push.bias_offset = shape.up_bias_offset;
  push.glu = glu_numbers(shape.glu);
  dispatch(*rise, push, ceil_div(shape.ff, batch_.shared_tiles ? kSharedRows / matrices : lanes), tile_count);
}

void OpsVulkan::expert_down_batch(const ExpertShape& shape, uint64_t tiles, uint32_t tile_count, uint64_t pairs, const Tensor& hidden, const Tensor& parts) {
  HOTSET_CHECK(shape.ff % 32 == 0);
  if (tile_count == 0) return;
  const uint32_t lanes = device_.limits().subgroup_size, type = number(shape.down_type);
  const uint32_t form = expert_down_form(shape) & shaders::kExpertDownBias;
  const Program* down = batch_.shared_tiles
                            ? weight_program(kExpertTiled, {shape.down_type}, {kInvocations, 4, 1, kTilePairs, 0, type, type, 0, form, 1})
                            : weight_program(kExpertDownBatch, {shape.down_type}, {lanes, batch_.lane_rows, kTilePairs, type, 0, 0, form});
  if (down == nullptr) return;
  order({hidden}, {parts});
  shaders::ExpertBatchPush push = {control_, tiles, pairs, hidden.address, parts.address};
  push.rows = shape.embd;
  push.cols = shape.ff;
  push.used = shape.used;
  push.first_offset = shape.down_offset;
  push.first_row_bytes = row_bytes_of(shape.down_type, shape.ff);
  push.bias_offset = shape.down_bias_offset;
  dispatch(*down, push, ceil_div(shape.embd, batch_.shared_tiles ? kSharedRows : lanes * batch_.lane_rows), tile_count);
}

void OpsVulkan::combine(const ExpertShape& shape, const Tensor& weights, const Tensor& parts, const Tensor& out, uint32_t n) {
  const uint32_t lanes = device_.limits().subgroup_size;
  const uint32_t form = expert_down_form(shape) & shaders::kExpertWeightedInput;
  const Program* add = program({"combine", shaders::combine, {lanes, kCombineRuns, form}});
  if (add == nullptr) return;
  order({weights, parts, out}, {out});
  const shaders::CombinePush push = {control_, weights.address, parts.address, out.address, shape.used, shape.embd};
  dispatch(*add, push, ceil_div(shape.embd, lanes * kCombineRuns), n);
}

}  // namespace hotset
