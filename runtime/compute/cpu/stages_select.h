// Stages (stages.h) of the choice of the positions that attention sees.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/compute/cpu/stage_context.h"
#include "runtime/compute/ops.h"

namespace hotset::cpu {

// A tile of tokens whose scores have room together.
struct SelectTile {
  SelectShape shape;
  const float* q;
  const float* weights;
  uint64_t keys;
  float* scores;   // [tokens][masks][blocks]
  uint32_t* mask;  // of all tokens of the operation
  uint32_t q_stride;
  uint32_t weight_stride;
  uint32_t first_token;
  uint32_t tokens;

  // What token first_token + t sees.
  uint32_t positions_of(uint32_t t, const StageContext& context) const {
    return std::min((context.control.position + first_token + t + 1) / shape.every, shape.context_tokens);
  }
  uint32_t blocks_of(uint32_t t, const StageContext& context) const { return (positions_of(t, context) + shape.block - 1) / shape.block; }
  float* scores_of(uint32_t t, uint32_t index) const { return scores + (uint64_t{t} * shape.masks() + index) * shape.blocks(); }
};

struct SelectScoresStage {  // item: kBlocks blocks of a token
  static constexpr uint32_t kBlocks = 64;
  SelectTile tile;

  uint64_t own_bytes() const { return uint64_t{tile.shape.heads} * kKeyBlock * sizeof(float); }
  uint32_t items(const StageContext& context) const { return tile.tokens * runs(context); }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  uint32_t runs(const StageContext& context) const { return (tile.blocks_of(tile.tokens - 1, context) + kBlocks - 1) / kBlocks; }
  void run_blocks(uint32_t t, uint32_t first_block, uint32_t end_block, const StageContext& context) const;
  void raise(uint32_t t, uint32_t position, uint32_t count, const float* products) const;
};

struct SelectMaskStage {  // item: a mask of a token
  SelectTile tile;

  uint64_t own_bytes() const { return uint64_t{tile.shape.blocks()} * sizeof(uint64_t); }
  uint32_t items(const StageContext&) const { return tile.tokens * tile.shape.masks(); }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  void run_mask(uint32_t t, uint32_t index, const StageContext& context) const;
};

}  // namespace hotset::cpu
