#include "runtime/compute/cpu/stages_select.h"

#include <cmath>
#include <functional>

#include "runtime/compute/cpu/rank.h"

namespace hotset::cpu {

// ---- scores

void SelectScoresStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  const uint32_t each = runs(context);
  for (uint32_t item = first; item < end; ++item) {
    const uint32_t t = item / each, block = item % each * kBlocks, blocks = tile.blocks_of(t, context);
    if (blocks <= tile.shape.top_k || block >= blocks) continue;  // all are chosen, or none is left
    run_blocks(t, block, std::min(block + kBlocks, blocks), context);
  }
}

void SelectScoresStage::run_blocks(uint32_t t, uint32_t first_block, uint32_t end_block, const StageContext& context) const {
  const SelectShape& shape = tile.shape;
  for (uint32_t index = 0; index < shape.masks(); ++index) {
    float* scores = tile.scores_of(t, index);
    std::fill(scores + first_block, scores + end_block, -INFINITY);
  }
  auto* products = reinterpret_cast<float*>(context.own);  // [heads][kKeyBlock]
  const float* queries = tile.q + uint64_t{tile.first_token + t} * tile.q_stride;
  const uint32_t end = std::min(end_block * shape.block, tile.positions_of(t, context));
  for (uint32_t position = first_block * shape.block; position < end; position += kKeyBlock) {
    const uint32_t count = std::min(kKeyBlock, end - position);
    const uint64_t at = tile.keys + uint64_t{position} * shape.head_dim * kv_element_bytes(shape.kv);
    const HeadRows keys = {reinterpret_cast<const void*>(at), shape.head_dim, count, shape.kv == KvElement::kF16};
    context.floats.score(queries, shape.heads, keys, shape.head_dim, products);
    raise(t, position, count, products);
  }
}

// The best of each block so far, with `count` positions from `position` on.
void SelectScoresStage::raise(uint32_t t, uint32_t position, uint32_t count, const float* products) const {
  const SelectShape& shape = tile.shape;
  const float* weights = tile.weights + uint64_t{tile.first_token + t} * tile.weight_stride;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t block = (position + i) / shape.block;
    float total = 0;
    for (uint32_t head = 0; head < shape.heads; ++head) {
      const float product = products[head * kKeyBlock + i];
      if (shape.together) total += weights[head] * std::max(product, 0.0f);
      else tile.scores_of(t, head)[block] = std::max(tile.scores_of(t, head)[block], product);
    }
    if (shape.together) tile.scores_of(t, 0)[block] = std::max(tile.scores_of(t, 0)[block], total);
  }
}

// ---- masks

void SelectMaskStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint32_t item = first; item < end; ++item) run_mask(item / tile.shape.masks(), item % tile.shape.masks(), context);
}

// No two keys are equal: the least one chosen says it all.
void SelectMaskStage::run_mask(uint32_t t, uint32_t index, const StageContext& context) const {
  const SelectShape& shape = tile.shape;
  const uint32_t positions = tile.positions_of(t, context), blocks = tile.blocks_of(t, context);
  const float* scores = tile.scores_of(t, index);
  const auto key_of = [&](uint32_t block) {
    return rank_key(block + shape.own_blocks >= blocks ? UINT32_MAX : rank_of(scores[block]), block);
  };
  uint64_t least = 0;
  if (blocks > shape.top_k) {
    auto* keys = reinterpret_cast<uint64_t*>(context.own);
    for (uint32_t block = 0; block < blocks; ++block) keys[block] = key_of(block);
    std::nth_element(keys, keys + shape.top_k - 1, keys + blocks, std::greater<>());
    least = keys[shape.top_k - 1];
  }
  uint32_t* words = tile.mask + (uint64_t{tile.first_token + t} * shape.masks() + index) * shape.mask_words();
  std::fill_n(words, shape.mask_words(), 0u);
  const bool spread = shape.spread_tokens != 0;
  const uint32_t each = spread ? shape.every : 1;
  const uint32_t end = spread ? std::min(context.control.position + tile.first_token + t + 1, shape.spread_tokens) : positions;
  for (uint32_t position = 0; position < end; ++position) {
    const uint32_t at = position / each;
    if (least == 0 || at >= positions || key_of(at / shape.block) >= least) words[position / 32] |= 1u << position % 32;
  }
}

}  // namespace hotset::cpu
