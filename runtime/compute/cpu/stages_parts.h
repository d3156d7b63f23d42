// Stages of the parts that families are composed of: norms, maps, rotation, rows of caches, products by head. As stages.h says.
#pragma once

#include <cstdint>

#include "runtime/compute/cpu/stage_context.h"
#include "runtime/compute/ops.h"

namespace hotset::cpu {

struct GroupNormStage {  // item: a group of a row
  NormShape shape;
  const float* x;
  const float* weight;  // nullptr: none
  const float* bias;    // nullptr: none
  float* out;
  uint32_t x_stride;
  uint32_t out_stride;
  uint32_t n;

  uint32_t items(const StageContext&) const { return n * shape.groups; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

struct MapStage {  // item: kCols columns of a row
  static constexpr uint32_t kCols = 256;
  Glu glu;
  float scale;
  Operand a;
  Operand b;
  Operand c;
  Rows out;
  uint32_t n;
  uint32_t cols;

  static constexpr uint64_t kOwnBytes = 3 * kCols * sizeof(float);

  uint32_t items(const StageContext&) const { return n * runs(); }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  uint32_t runs() const { return (cols + kCols - 1) / kCols; }
  void run_cols(uint32_t row, uint32_t first, uint32_t count, const StageContext& context) const;
};

struct RopeStage {  // item: a row
  RopeShape shape;
  float* x;
  const float* table;
  uint32_t x_stride;
  uint32_t n;

  uint32_t items(const StageContext&) const { return n; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

struct StoreRowsStage {  // item: a row
  KvElement element;
  const float* x;
  uint64_t cache;
  uint32_t x_stride;
  uint32_t row_stride;
  uint32_t context_tokens;
  uint32_t cols;
  uint32_t n;
  uint32_t every;

  uint32_t items(const StageContext&) const { return n; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

struct PrepareHeadsStage {  // item: a head of a row
  HeadsShape shape;
  BlockType type;
  const float* x;
  uint32_t x_stride;
  uint32_t n;
  uint64_t offset;  // in shared memory: [heads][n] of stride_bytes
  uint64_t stride_bytes;

  uint32_t items(const StageContext&) const { return n * shape.heads; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

struct HeadsStage {  // item: kRows rows of a head, for all tokens
  static constexpr uint32_t kRows = 16;
  HeadsShape shape;
  Weight weight;
  uint64_t row_bytes;
  float* out;
  uint32_t out_stride;
  uint32_t n;
  uint64_t offset;  // as PrepareHeadsStage
  uint64_t stride_bytes;

  uint32_t items(const StageContext&) const { return shape.heads * units(); }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  uint32_t units() const { return (shape.rows + kRows - 1) / kRows; }
};

struct TransposedHeadsStage {  // item: a head, for kTokens tokens
  static constexpr uint32_t kTokens = 16;
  HeadsShape shape;
  Weight weight;
  uint64_t row_bytes;
  Rows x;
  Rows out;
  uint32_t n;

  uint64_t own_bytes() const { return (kTokens + 1) * uint64_t{shape.rows} * sizeof(float); }
  uint32_t items(const StageContext&) const { return shape.heads * token_runs(); }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  uint32_t token_runs() const { return (n + kTokens - 1) / kTokens; }
};

}  // namespace hotset::cpu
