// OpsVulkan: the choice of the positions that attention sees.
#include <algorithm>

#include "platform/check.h"
#include "runtime/compute/ops_vulkan.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

// Heads that share the loads of a key at most: their sums are registers.
constexpr uint32_t kMostChunk = 8;

uint32_t chunk_of(const SelectShape& shape) {
  if (!shape.together) return 1;
  uint32_t chunk = kMostChunk;
  while (shape.heads % chunk != 0) chunk /= 2;
  return chunk;
}

}  // namespace

void OpsVulkan::select_positions(const SelectShape& shape, const Rows& q, const Rows& weights, uint64_t keys, const Tensor& scratch, const Tensor& mask,
                                 uint32_t n) {
  HOTSET_CHECK(can_select(shape) && n > 0 && q.address % 16 == 0 && q.stride % 4 == 0 && keys % 16 == 0);
  const uint32_t tile = select_tile(shape, scratch.size_bytes), blocks = shape.blocks();
  const uint32_t lanes = tuning::elementwise_workgroup(device_.limits()), workgroup = tuning::row_workgroup(device_.limits(), blocks);
  const Tensor queries = {q.address, (uint64_t{n - 1} * q.stride + shape.heads * shape.head_dim) * sizeof(float)};
  const Tensor factors = {weights.address, shape.together ? (uint64_t{n - 1} * weights.stride + shape.heads) * sizeof(float) : 0};
  const Tensor cache = {keys, uint64_t{shape.context_tokens} * shape.head_dim * kv_element_bytes(shape.kv)};
  shaders::SelectPush push = {control_, q.address, weights.address, keys, scratch.address, mask.address};
  push.heads = shape.heads;
  push.q_stride = q.stride;
  push.weight_stride = weights.stride;
  push.context_tokens = shape.context_tokens;
  push.block = shape.block;
  push.blocks = blocks;
  push.top_k = shape.top_k;
  push.own_blocks = shape.own_blocks;
  push.mask_words = shape.mask_words();
  push.every = shape.every;
  push.spread_tokens = shape.spread_tokens;
  for (uint32_t first = 0; first < n; first += tile) {
    const uint32_t tokens = std::min(tile, n - first);
    const Tensor scores = {scratch.address, tokens * shape.token_scratch_bytes()};
    push.first_token = first;
    const Program* score = program({"select_scores", shaders::select_scores,
                                    {lanes, shape.head_dim, shape.kv == KvElement::kF16, shape.together, chunk_of(shape)}});
    if (score == nullptr) return;
    order({queries, factors, cache}, {scores});
    dispatch(*score, push, (blocks + lanes - 1) / lanes, tokens, shape.masks());
    const Program* choose = program({"select_mask", shaders::select_mask, {workgroup}});
    if (choose == nullptr) return;
    order({scores}, {mask});
    dispatch(*choose, push, shape.masks(), tokens);
  }
}

}  // namespace hotset
