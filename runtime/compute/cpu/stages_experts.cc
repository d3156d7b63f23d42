#include <algorithm>

#include "platform/bytes.h"
#include "runtime/compute/cpu/expert_form.h"
#include "runtime/compute/cpu/stages.h"

namespace hotset::cpu {
namespace {

uint64_t bytes_of_row(BlockType type, uint32_t cols) { return uint64_t{cols} / block_elements(type) * block_bytes(type); }

const std::byte* gate_of(const ExpertShape& shape, const ExpertPointers& expert) { return expert[shape.gate_piece]; }
const std::byte* up_of(const ExpertShape& shape, const ExpertPointers& expert) { return expert[shape.up_piece] + shape.up_piece_offset; }
const std::byte* down_of(const ExpertShape& shape, const ExpertPointers& expert) { return expert[shape.down_piece]; }

// Of rows `first` on; nullptr: the shape has none.
const float* bias_of(const ExpertPointers& expert, uint32_t piece, uint32_t first) {
  return piece == ExpertShape::kNone ? nullptr : reinterpret_cast<const float*>(expert[piece]) + first;
}

// Hidden values of rows `first` on.
void rise(const ExpertShape& shape, const ExpertPointers& expert, float weight, const float* gate, const float* up, uint32_t first, float* out,
          uint32_t count, const StageContext& context) {
  const HiddenBiases biases = {bias_of(expert, shape.gate_bias_piece, first), bias_of(expert, shape.up_bias_piece, first)};
  const bool plain = shape.has_gate && !shape.weight_on_input && biases.gate == nullptr && biases.up == nullptr && shape.glu == Glu{};
  if (plain) context.floats.gate_up(gate, up, out, count);
  else form_hidden(shape.glu, weight, shape.has_gate ? gate : nullptr, up, biases, out, count);
}

}  // namespace

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
  const float weight = shape.weight_on_input ? weights[slot] : 1.0f;
  auto* gate = reinterpret_cast<float*>(context.own);
  float* up = gate + kRows;
  for (uint32_t row = first_row; row < end_row; row += kRows) {
    const uint32_t count = std::min(kRows, end_row - row);
    if (shape.has_gate) {
      context.dot.multiply(shape.gate_type, gate_of(shape, expert) + row * gate_row_bytes, gate_row_bytes, count, shape.embd, for_gate.row(context, 0), 0, 1,
                           gate, count);
    }
    context.dot.multiply(shape.up_type, up_of(shape, expert) + row * up_row_bytes, up_row_bytes, count, shape.embd, for_up.row(context, 0), 0, 1, up, count);
    rise(shape, expert, weight, gate, up, row, hidden + uint64_t{slot} * shape.ff + row, count, context);
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
    const ExpertPointers& expert = expert_at(addresses[slot]);
    const std::byte* rows = down_of(shape, expert) + first_row * row_bytes;
    context.dot.multiply(shape.down_type, rows, row_bytes, count, shape.ff, activations.row(context, slot), 0, 1, product, count);
    if (const float* bias = bias_of(expert, shape.down_bias_piece, first_row)) context.floats.add(product, bias, product, count);
    context.floats.add_scaled(shape.weight_on_input ? 1.0f : weights[slot], product, sums, count);
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

std::array<BlockType, 2> ExpertBatchStage::types() const {
  if (!goes_up) return {shape.down_type, shape.down_type};
  return {shape.has_gate ? shape.gate_type : shape.up_type, shape.up_type};
}

uint64_t ExpertBatchStage::own_bytes() const {
  const auto [first_type, second_type] = types();
  const uint64_t first = activation_bytes(first_type, cols());
  const uint64_t second = same_activation(first_type, second_type) ? 0 : activation_bytes(second_type, cols());
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
  const std::array<BlockType, 2> of = types();
  const uint32_t forms = same_activation(of[0], of[1]) ? 1 : 2;
  std::byte* next = context.own;
  for (uint32_t form = 0; form < forms; ++form) {
    work.activations[form] = next;
    work.stride_bytes[form] = activation_bytes(of[form], cols());
    for (uint32_t i = 0; i < work.count; ++i, next += work.stride_bytes[form]) {
      const uint64_t row = goes_up ? list[i] / shape.used : list[i];
      context.dot.prepare(of[form], x + row * cols(), cols(), next);
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
  const std::array<BlockType, 2> of = types();
  const std::byte* const matrices[] = {shape.has_gate ? gate_of(shape, *work.expert) : nullptr, up_of(shape, *work.expert)};
  const uint32_t count = end_row - first_row;
  for (uint32_t i = shape.has_gate ? 0 : 1; i < 2; ++i) {
    const uint64_t bytes = bytes_of_row(of[i], shape.embd);
    context.dot.multiply(of[i], matrices[i] + first_row * bytes, bytes, count, shape.embd, work.activations[i], work.stride_bytes[i], work.count,
                         work.products[i], kRows);
  }
  for (uint32_t i = 0; i < work.count; ++i) {
    const float weight = shape.weight_on_input ? weights[work.pairs[i]] : 1.0f;
    rise(shape, *work.expert, weight, work.products[0] + i * kRows, work.products[1] + i * kRows, first_row,
         out + uint64_t{work.pairs[i]} * shape.ff + first_row, count, context);
  }
}

void ExpertBatchStage::multiply_down(const Work& work, uint32_t first_row, uint32_t end_row, const StageContext& context) const {
  const uint64_t bytes = bytes_of_row(shape.down_type, shape.ff);
  const uint32_t count = end_row - first_row;
  context.dot.multiply(shape.down_type, down_of(shape, *work.expert) + first_row * bytes, bytes, count, shape.ff, work.activations[0],
                       work.stride_bytes[0], work.count, work.products[0], kRows);
  const float* bias = bias_of(*work.expert, shape.down_bias_piece, first_row);
  for (uint32_t i = 0; i < work.count; ++i) {
    float* to = out + uint64_t{work.pairs[i]} * shape.embd + first_row;
    if (bias != nullptr) context.floats.add(work.products[0] + i * kRows, bias, to, count);
    else std::copy_n(work.products[0] + i * kRows, count, to);
  }
}

void CombineStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  auto* sums = reinterpret_cast<float*>(context.own);
  for (uint64_t t = first; t < end; ++t) {
    std::fill_n(sums, shape.embd, 0.0f);
    for (uint64_t s = 0; s < shape.used; ++s) {
      const uint64_t pair = t * shape.used + s;
      context.floats.add_scaled(shape.weight_on_input ? 1.0f : weights[pair], parts + pair * shape.embd, sums, shape.embd);
    }
    context.floats.add(out + t * shape.embd, sums, out + t * shape.embd, shape.embd);
  }
}

}  // namespace hotset::cpu
