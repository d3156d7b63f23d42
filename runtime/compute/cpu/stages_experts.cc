#include <algorithm>
#include <bit>
#include <limits>

#include "platform/bytes.h"
#include "runtime/compute/cpu/stages.h"

namespace hotset::cpu {
namespace {

uint64_t bytes_of_row(BlockType type, uint32_t cols) { return uint64_t{cols} / block_elements(type) * block_bytes(type); }

// ---- routing

// Unsigned numbers in the order of the floats, NaN below all: the sign decides which half, and negative ones run backwards.
uint32_t rank_of(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0;
  if ((bits & 0x7fffffffu) == 0) return 0x80000000u;
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// The ids of the `used` best scores in falling order, the lower id first among equals.
void choose(const float* scores, uint32_t experts, uint32_t used, uint32_t* ids) {
  uint64_t best[shaders::kMaxTopK];  // rank, then the id turned round
  uint32_t count = 0;
  for (uint32_t id = 0; id < experts; ++id) {
    const uint64_t key = uint64_t{rank_of(scores[id])} << 32 | ~id;
    if (count == used && key < best[count - 1]) continue;
    uint32_t at = count < used ? count++ : count - 1;
    for (; at > 0 && best[at - 1] < key; --at) best[at] = best[at - 1];
    best[at] = key;
  }
  for (uint32_t slot = 0; slot < used; ++slot) ids[slot] = ~static_cast<uint32_t>(best[slot]);
}

}  // namespace

void RouteStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  auto* shares = reinterpret_cast<float*>(context.own);
  for (uint64_t t = first; t < end; ++t) {
    const float* row = scores + t * shape.experts;
    uint32_t* chosen = ids + t * shape.used;
    float* out = weights + t * shape.used;
    float most = -std::numeric_limits<float>::infinity();
    for (uint32_t i = 0; i < shape.experts; ++i) most = row[i] > most ? row[i] : most;
    const float total = context.floats.exps(row, most, shares, shape.experts);
    choose(row, shape.experts, shape.used, chosen);
    float sum = 0;
    for (uint32_t s = 0; s < shape.used; ++s) {
      out[s] = shares[chosen[s]] / total;
      sum += out[s];
    }
    const float divisor = shape.renormalise ? sum : 1.0f;
    for (uint32_t s = 0; s < shape.used; ++s) out[s] = out[s] / divisor * shape.scale;
    if (table == nullptr) continue;
    for (uint32_t s = 0; s < shape.used; ++s) {
      addresses[s] = table[chosen[s]];
      if (addresses[s] == 0 && context.control.stop == 0) context.control.stop = stop_value;
    }
  }
}

// ---- one token

uint32_t ExpertUpStage::present() const {
  uint32_t count = 0;
  for (uint32_t slot = 0; slot < shape.used; ++slot) count += addresses[slot] != 0;
  return count;
}

void ExpertUpStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  uint32_t before = 0;
  for (uint32_t slot = 0; slot < shape.used; ++slot) {
    if (addresses[slot] == 0) continue;
    const uint32_t begin = std::max(first, before), stop = std::min(end, before + units());
    if (begin < stop) run_rows(slot, (begin - before) * kUnitRows, std::min(shape.ff, (stop - before) * kUnitRows), context);
    before += units();
  }
}

void ExpertUpStage::run_rows(uint32_t slot, uint32_t first_row, uint32_t end_row, const StageContext& context) const {
  const ExpertPointers& expert = expert_at(addresses[slot]);
  auto* gate = reinterpret_cast<float*>(context.own);
  float* up = gate + kRows;
  for (uint32_t row = first_row; row < end_row; row += kRows) {
    const uint32_t count = std::min(kRows, end_row - row);
    context.dot.multiply(shape.gate_type, expert[0] + row * gate_row_bytes, gate_row_bytes, count, shape.embd, for_gate.row(context, 0), 0, 1, gate, count);
    context.dot.multiply(shape.up_type, expert[1] + row * up_row_bytes, up_row_bytes, count, shape.embd, for_up.row(context, 0), 0, 1, up, count);
    context.floats.gate_up(gate, up, hidden + uint64_t{slot} * shape.ff + row, count);
  }
}

void ExpertDownStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  const uint32_t end_row = std::min(shape.embd, end * kUnitRows);
  for (uint32_t row = first * kUnitRows; row < end_row; row += kRows) run_rows(row, std::min(end_row, row + kRows), context);
}

void ExpertDownStage::run_rows(uint32_t first_row, uint32_t end_row, const StageContext& context) const {
  auto* sums = reinterpret_cast<float*>(context.own);
  float* product = sums + kRows;
  const uint32_t count = end_row - first_row;
  std::fill_n(sums, count, 0.0f);
  for (uint32_t slot = 0; slot < shape.used; ++slot) {
    if (addresses[slot] == 0) continue;
    const std::byte* rows = expert_at(addresses[slot])[2] + first_row * row_bytes;
    context.dot.multiply(shape.down_type, rows, row_bytes, count, shape.ff, activations.row(context, slot), 0, 1, product, count);
    context.floats.add_scaled(weights[slot], product, sums, count);
  }
  context.floats.add(out + first_row, sums, out + first_row, count);
}

// ---- many tokens

// The pairs of an item, with their activations prepared in this thread's memory.
struct ExpertBatchStage::Work {
  const ExpertPointers* expert;
  const uint32_t* pairs;
  uint32_t count;
  std::byte* activations[2];  // for gate, or down; for up
  uint64_t stride_bytes[2];
  float* products[2];  // [kMaxPairs][kRows]
};

uint64_t ExpertBatchStage::own_bytes() const {
  const uint64_t first = activation_bytes(goes_up ? shape.gate_type : shape.down_type, cols());
  const uint64_t second = goes_up && !same_activation(shape.gate_type, shape.up_type) ? activation_bytes(shape.up_type, cols()) : 0;
  return kMaxPairs * (first + second + 2 * kRows * sizeof(float));
}

void ExpertBatchStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint32_t item = first; item < end; ++item) {
    const uint32_t tile = item / shares;
    const uint64_t expert = tiles[tile].expert;
    uint32_t before = 0;
    while (before < tile && tiles[tile - before - 1].expert == expert) ++before;
    if (before % kTogether != 0) continue;
    uint32_t stop = tile + 1;
    while (stop < std::min(tile_count, tile + kTogether) && tiles[stop].expert == expert) ++stop;
    run_tiles(tile, stop, item % shares, context);
  }
}

void ExpertBatchStage::run_tiles(uint32_t first_tile, uint32_t end_tile, uint32_t share, const StageContext& context) const {
  uint32_t list[kMaxPairs];
  Work work = {&expert_at(tiles[first_tile].expert), list, 0, {}, {}, {}};
  for (uint32_t tile = first_tile; tile < end_tile; ++tile) {
    for (uint32_t i = 0; i < tiles[tile].pair_count; ++i) list[work.count++] = pairs[tiles[tile].first_pair + i];
  }
  const BlockType types[] = {goes_up ? shape.gate_type : shape.down_type, goes_up ? shape.up_type : shape.down_type};
  const uint32_t forms = same_activation(types[0], types[1]) ? 1 : 2;
  std::byte* next = context.own;
  for (uint32_t form = 0; form < forms; ++form) {
    work.activations[form] = next;
    work.stride_bytes[form] = activation_bytes(types[form], cols());
    for (uint32_t i = 0; i < work.count; ++i, next += work.stride_bytes[form]) {
      const uint64_t row = goes_up ? list[i] / shape.used : list[i];
      context.dot.prepare(types[form], x + row * cols(), cols(), next);
    }
  }
  if (forms == 1) work.activations[1] = work.activations[0], work.stride_bytes[1] = work.stride_bytes[0];
  work.products[0] = reinterpret_cast<float*>(next);
  work.products[1] = work.products[0] + kMaxPairs * kRows;
  const uint32_t runs = (rows() + kRows - 1) / kRows;
  for (uint32_t run = runs * share / shares; run < runs * (share + 1) / shares; ++run) {
    const uint32_t end_row = std::min(rows(), (run + 1) * kRows);
    if (goes_up) multiply_up(work, run * kRows, end_row, context);
    else multiply_down(work, run * kRows, end_row, context);
  }
}

void ExpertBatchStage::multiply_up(const Work& work, uint32_t first_row, uint32_t end_row, const StageContext& context) const {
  const BlockType types[] = {shape.gate_type, shape.up_type};
  const uint32_t count = end_row - first_row;
  for (uint32_t i = 0; i < 2; ++i) {
    const uint64_t bytes = bytes_of_row(types[i], shape.embd);
    context.dot.multiply(types[i], (*work.expert)[i] + first_row * bytes, bytes, count, shape.embd, work.activations[i], work.stride_bytes[i], work.count,
                         work.products[i], kRows);
  }
  for (uint32_t i = 0; i < work.count; ++i) {
    context.floats.gate_up(work.products[0] + i * kRows, work.products[1] + i * kRows, out + uint64_t{work.pairs[i]} * shape.ff + first_row, count);
  }
}

void ExpertBatchStage::multiply_down(const Work& work, uint32_t first_row, uint32_t end_row, const StageContext& context) const {
  const uint64_t bytes = bytes_of_row(shape.down_type, shape.ff);
  const uint32_t count = end_row - first_row;
  context.dot.multiply(shape.down_type, (*work.expert)[2] + first_row * bytes, bytes, count, shape.ff, work.activations[0], work.stride_bytes[0], work.count,
                       work.products[0], kRows);
  for (uint32_t i = 0; i < work.count; ++i) std::copy_n(work.products[0] + i * kRows, count, out + uint64_t{work.pairs[i]} * shape.embd + first_row);
}

void CombineStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  auto* sums = reinterpret_cast<float*>(context.own);
  for (uint64_t t = first; t < end; ++t) {
    std::fill_n(sums, shape.embd, 0.0f);
    for (uint64_t s = 0; s < shape.used; ++s) {
      const uint64_t pair = t * shape.used + s;
      context.floats.add_scaled(weights[pair], parts + pair * shape.embd, sums, shape.embd);
    }
    context.floats.add(out + t * shape.embd, sums, out + t * shape.embd, shape.embd);
  }
}

}  // namespace hotset::cpu
