// Stages: what operations are made of on the CPU. A stage is a number of items that can be worked on in any order and by any
// thread, plain data that is recorded once and run many times.
//
// An item is all the outputs it writes: no output is summed by two items, so results do not depend on how items are shared out.
// Stages hold pointers to activations and weights, and offsets into two kinds of scratch memory: one that all threads share,
// valid from one stage to the next of the same operation, and one of each thread, valid within run().
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "runtime/compute/cpu/stage_context.h"
#include "runtime/compute/cpu/stages_parts.h"
#include "runtime/compute/cpu/stages_recurrent.h"
#include "runtime/compute/cpu/stages_select.h"
#include "runtime/compute/cpu/stages_streams.h"
#include "runtime/compute/ops.h"

namespace hotset::cpu {

// Prepared activations: at `direct`, or in shared memory.
struct Activations {
  const float* direct = nullptr;
  uint64_t offset = 0;
  uint64_t stride_bytes = 0;

  const std::byte* row(const StageContext& context, uint64_t row) const {
    const std::byte* base = direct != nullptr ? reinterpret_cast<const std::byte*>(direct) : context.shared + offset;
    return base + row * stride_bytes;
  }
};

// Rows of a matrix are shared out in units of so many: whole cache lines of outputs.
constexpr uint32_t kUnitRows = 16;

// The pieces of one expert, by the numbers that ExpertShape gives; as ExpertPieces (offload/expert_pieces.h) has them.
using ExpertPointers = std::array<const std::byte*, ExpertShape::kMaxPieces>;
inline const ExpertPointers& expert_at(uint64_t address) { return *reinterpret_cast<const ExpertPointers*>(address); }

// ---- activations, norms

struct EmbedStage {  // item: a token
  Weight table;
  const uint32_t* tokens;
  float* out;
  uint32_t n;

  uint32_t items(const StageContext&) const { return n; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

struct NormStage {  // item: a row
  const float* x;
  const float* weight;
  float* out;
  uint32_t n;
  uint32_t cols;
  float eps;

  uint32_t items(const StageContext&) const { return n; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

struct PrepareStage {  // item: a row; rows whose address (when given) is 0 are left out
  BlockType type;
  const float* x;
  const uint64_t* addresses;
  uint32_t n;
  uint32_t cols;
  Activations out;

  uint32_t items(const StageContext&) const { return n; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

struct AddStage {  // item: kFloats of them
  static constexpr uint32_t kFloats = 1024;
  const float* x;
  float* out;
  uint32_t count;

  uint32_t items(const StageContext&) const { return (count + kFloats - 1) / kFloats; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

// The only stage that runs when the pass has stopped, if it did at stop_value.
struct ExportStage {
  const float* x;
  float* out;
  uint32_t count;
  uint32_t stop_value;

  uint32_t items(const StageContext&) const { return 1; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

// ---- products

struct RowProduct {
  Weight weight;
  uint64_t row_bytes;
  float* out;
  Activations activations;
};

struct MultiplyStage {  // item: unit_rows rows of one of the products, for token_block tokens
  static constexpr uint32_t kMaxProducts = 3;
  std::array<RowProduct, kMaxProducts> products;
  uint32_t count;
  uint32_t n;
  uint32_t unit_rows;
  uint32_t token_block;
  const float* residual;  // added to products[0]; nullptr: none

  static constexpr uint32_t kResidualFloats = 16384;
  static constexpr uint64_t kOwnBytes = kResidualFloats * sizeof(float);
  static constexpr uint32_t kMaxTokenBlock = 64;

  uint32_t items(const StageContext&) const { return units() * token_blocks(); }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  uint32_t units() const;
  uint32_t token_blocks() const { return (n + token_block - 1) / token_block; }
  void run_rows(uint32_t first_unit, uint32_t end_unit, uint32_t block, const StageContext& context) const;
  void multiply(const RowProduct& product, uint32_t first_row, uint32_t end_row, uint32_t first_token, uint32_t end_token,
                const StageContext& context) const;
};

// ---- attention

struct StoreKvStage {  // item: a token
  AttentionShape shape;
  float* q;
  const float* k;
  const float* v;
  const float* q_norm;
  const float* k_norm;
  const float* rope;
  KvCacheView cache;
  uint32_t n;

  uint64_t own_bytes() const { return uint64_t{shape.head_dim} * sizeof(float); }
  uint32_t items(const StageContext&) const { return n; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  void turn(const float* head, const float* norm, const float* turns, float* out, const StageContext& context) const;
  void store(uint64_t cache_rows, uint32_t dims, uint64_t at, const float* head, const StageContext& context) const;
};

// What AttendStage and MergeStage share. In decode a long context is split, so that threads share it; where it is split follows
// from the token's position alone.
struct AttendShape {
  AttentionShape shape;
  AttentionInputs inputs;
  const float* q;
  KvCacheView cache;
  float* out;
  uint64_t parts_offset;  // in shared memory: [n][heads][most_splits] of value_dim sums, highest, weight
  uint32_t n;
  bool split;
  uint32_t every = 1;  // positions that a row of the cache stands for

  // The rows beside the cache as a cache; the mask is theirs, and not that of the cache itself.
  AttendShape beside() const;
  bool has_beside() const { return shape.beside_every != 0; }
  bool masked() const { return inputs.mask != 0 && !has_beside(); }
  static constexpr uint32_t kMaxSplits = 64;
  static constexpr uint32_t kSplitKeys = 512;  // of one split at least

  uint32_t group() const { return shape.heads / shape.kv_heads; }
  bool limited() const { return shape.window != 0 || shape.chunk != 0; }
  // Keys before this one are not seen by `token`; and the first key of the block that it lies in, where its walk begins.
  uint32_t first_seen(uint32_t token, const StageContext& context) const;
  uint32_t first_key(uint32_t token, const StageContext& context) const { return first_seen(token, context) / kKeyBlock * kKeyBlock; }
  // Keys from 0 to the token's own position, and those of them that it walks.
  uint32_t keys_of(uint32_t token, const StageContext& context) const;
  uint32_t walked_keys(uint32_t token, const StageContext& context) const { return keys_of(token, context) - first_key(token, context); }
  // Bit i: heads of `kv_head` of `token` see key block + i. For keys up to the token's own.
  uint64_t seen_of(uint32_t token, uint32_t kv_head, uint32_t block, const StageContext& context) const;
  uint32_t split_keys(uint32_t keys) const;
  uint32_t splits_of(uint32_t keys) const { return split ? (keys + split_keys(keys) - 1) / split_keys(keys) : 1; }
  // Of the token with the most.
  uint32_t splits_of_all(const StageContext& context) const;
  uint32_t most_splits() const { return std::min(kMaxSplits, (shape.context_tokens + kSplitKeys - 1) / kSplitKeys); }
  uint32_t part_floats() const { return shape.value_dim + 2; }
  float* part(const StageContext& context, uint32_t token, uint32_t head, uint32_t split_index) const {
    const uint64_t index = (uint64_t{token} * shape.heads + head) * most_splits() + split_index;
    return reinterpret_cast<float*>(context.shared + parts_offset) + index * part_floats();
  }
  // The score of the head's sink raises `highest` and the weight; what sums shrink by.
  float add_sink(uint32_t head, float& highest, float& weight) const;
  uint64_t parts_bytes() const { return split ? uint64_t{n} * shape.heads * most_splits() * part_floats() * sizeof(float) : 0; }
};

struct AttendStage {  // item: a run of tokens with the query heads of one key head; with `split`, one token and one split of its keys
  AttendShape attention;

  uint32_t tokens_each() const;
  uint64_t own_bytes() const;
  uint32_t items(const StageContext& context) const;
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  struct Tile;
  void run_item(uint32_t item, const StageContext& context) const;
  Tile make_tile(const StageContext& context) const;
  void load_queries(Tile& tile, uint32_t first_token, uint32_t end_token, uint32_t kv_head, const StageContext& context) const;
  void attend(Tile& tile, uint32_t kv_head, uint32_t first_key, uint32_t end_key, const StageContext& context) const;
  void attend_beside(Tile& tile, uint32_t split_index, uint32_t splits, const StageContext& context) const;
  void keep_part(const Tile& tile, uint32_t kv_head, uint32_t split_index, const StageContext& context) const;
  void finish(const Tile& tile, uint32_t kv_head) const;
  void attend_block(Tile& tile, uint32_t first_column, uint32_t end_column, uint32_t block, uint32_t keys, const StageContext& context) const;
  bool any_sees(const Tile& tile, uint32_t block, const StageContext& context) const;
  void soften(Tile& tile, uint32_t column, uint32_t block, uint32_t keys, const StageContext& context) const;
};

struct MergeStage {  // item: a head of a token; none while no token's context is split
  AttendShape attention;

  uint32_t items(const StageContext& context) const;
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

// ---- experts

struct RouteStage {  // item: a token
  RouteShape shape;
  const float* scores;
  uint32_t* ids;
  float* weights;
  const uint64_t* table;  // nullptr: none; as what follows
  uint64_t* addresses;
  const float* logit_bias;
  const float* choice_bias;
  const float* expert_scales;
  const uint32_t* tokens;
  const uint32_t* token_experts;
  uint32_t n;
  uint32_t stop_value;

  uint64_t own_bytes() const { return uint64_t{3} * shape.experts * sizeof(float); }
  uint32_t items(const StageContext&) const { return n; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  struct Token;
  Token look_at(uint64_t index, const StageContext& context) const;
  uint32_t open_groups(const Token& token) const;
  void choose(const Token& token, uint32_t* chosen) const;
  void weigh(const Token& token, const uint32_t* chosen, float* out) const;
};

struct ExpertUpStage {  // item: kUnitRows rows of one of the slots that have an address
  ExpertShape shape;
  const uint64_t* addresses;
  const float* weights;  // read where they multiply the input
  float* hidden;
  uint64_t gate_row_bytes;
  uint64_t up_row_bytes;
  Activations for_gate;
  Activations for_up;

  static constexpr uint32_t kRows = 512;  // of gate and up at a time
  static constexpr uint64_t kOwnBytes = 2 * kRows * sizeof(float);

  uint32_t items(const StageContext&) const { return present() * units(); }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  uint32_t units() const { return (shape.ff + kUnitRows - 1) / kUnitRows; }
  uint32_t present() const;
  void run_rows(uint32_t slot, uint32_t first_row, uint32_t end_row, const StageContext& context) const;
};

struct ExpertDownStage {  // item: kUnitRows rows of the output
  ExpertShape shape;
  const uint64_t* addresses;
  const float* weights;
  float* out;
  uint64_t row_bytes;
  Activations activations;  // by slot

  static constexpr uint32_t kRows = 2048;  // at a time
  static constexpr uint64_t kOwnBytes = 2 * kRows * sizeof(float);

  uint32_t items(const StageContext&) const { return (shape.embd + kUnitRows - 1) / kUnitRows; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  void run_rows(uint32_t first_row, uint32_t end_row, const StageContext& context) const;
};

// Neighbouring tiles of one expert go together, so that its weights are read for more tokens at a time.
struct ExpertBatchStage {  // item: a share of the rows of a tile; none of a tile that goes with the one before
  bool goes_up;  // gate and up, else down
  ExpertShape shape;
  const shaders::ExpertTile* tiles;
  const uint32_t* pairs;
  const float* weights;  // by pair; read where they multiply the input
  const float* x;        // up: by token; down: by pair
  float* out;            // by pair
  uint32_t tile_count;
  uint32_t shares;

  static constexpr uint32_t kTogether = 4;  // tiles
  static constexpr uint32_t kMaxPairs = kTogether * Ops::kTilePairs;
  static constexpr uint32_t kRows = 64;  // at a time

  uint32_t rows() const { return goes_up ? shape.ff : shape.embd; }
  uint32_t cols() const { return goes_up ? shape.embd : shape.ff; }
  uint64_t own_bytes() const;
  uint32_t items(const StageContext&) const { return tile_count * shares; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  struct Work;
  // Of the matrices that x is multiplied with; of the only one twice.
  std::array<BlockType, 2> types() const;
  void run_tiles(uint32_t first_tile, uint32_t end_tile, uint32_t share, const StageContext& context) const;
  void multiply_up(const Work& work, uint32_t first_row, uint32_t end_row, const StageContext& context) const;
  void multiply_down(const Work& work, uint32_t first_row, uint32_t end_row, const StageContext& context) const;
};

struct CombineStage {  // item: a token
  ExpertShape shape;
  const float* weights;
  const float* parts;
  float* out;
  uint32_t n;

  uint64_t own_bytes() const { return uint64_t{shape.embd} * sizeof(float); }
  uint32_t items(const StageContext&) const { return n; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

struct Stage {
  std::variant<EmbedStage, NormStage, PrepareStage, AddStage, ExportStage, MultiplyStage, StoreKvStage, AttendStage, MergeStage, RouteStage,
               ExpertUpStage, ExpertDownStage, ExpertBatchStage, CombineStage, GroupNormStage, MapStage, RopeStage, StoreRowsStage, PrepareHeadsStage,
               HeadsStage, TransposedHeadsStage, ConvStage, LinearAttentionStage, SelectiveScanStage, SelectScoresStage, SelectMaskStage,
               CompressStage, StreamWeightsStage, MixStreamsStage>
      work;
  uint32_t pieces_per_thread = 0;  // in how many runs of items it is shared out; 0: one thread does all

  uint32_t items(const StageContext& context) const {
    return std::visit([&](const auto& stage) { return stage.items(context); }, work);
  }
  void run(uint32_t first, uint32_t end, const StageContext& context) const {
    std::visit([&](const auto& stage) { stage.run(first, end, context); }, work);
  }
  bool is_shared() const { return pieces_per_thread != 0; }
  bool runs_when_stopped() const { return std::holds_alternative<ExportStage>(work); }
};

}  // namespace hotset::cpu
