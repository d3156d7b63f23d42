#include "runtime/compute/cpu/stages_parts.h"

#include <algorithm>
#include <cmath>

#include "runtime/compute/cpu/activation_function.h"

namespace hotset::cpu {
namespace {

// The sum of value(i) for i < count, in an order that depends on count alone and that compilers can make vectors of.
template <class Value>
float sum_of(uint32_t count, Value value) {
  constexpr uint32_t kSums = 16;
  float sums[kSums] = {};
  uint32_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (uint32_t j = 0; j < kSums; ++j) sums[j] += value(i + j);
  }
  for (uint32_t j = 0; i + j < count; ++j) sums[j] += value(i + j);
  for (uint32_t apart = kSums / 2; apart > 0; apart /= 2) {
    for (uint32_t j = 0; j < apart; ++j) sums[j] += sums[j + apart];
  }
  return sums[0];
}

float* floats_at(const Rows& rows, uint64_t row, uint64_t col) { return reinterpret_cast<float*>(rows.address) + row * rows.stride + col; }

}  // namespace

void GroupNormStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint64_t item = first; item < end; ++item) {
    const uint64_t row = item / shape.groups, group = item % shape.groups;
    const float* from = x + row * x_stride + group * shape.cols;
    float* to = out + row * out_stride + group * shape.cols;
    const float* weights = weight != nullptr ? weight + group * shape.weight_stride : nullptr;
    if (shape.kind == NormKind::kRms && weights != nullptr && bias == nullptr) {
      context.floats.rms_norm(from, weights, to, shape.cols, shape.eps);
      continue;
    }
    const auto cols = static_cast<float>(shape.cols);
    const float mean = shape.kind == NormKind::kLayer ? sum_of(shape.cols, [&](uint32_t i) { return from[i]; }) / cols : 0.0f;
    const float squares = sum_of(shape.cols, [&](uint32_t i) { return (from[i] - mean) * (from[i] - mean); });
    const float by = shape.kind == NormKind::kL2 ? 1.0f / std::max(std::sqrt(squares), shape.eps) : 1.0f / std::sqrt(squares / cols + shape.eps);
    for (uint32_t i = 0; i < shape.cols; ++i) to[i] = (from[i] - mean) * by;
    if (weights != nullptr) {
      for (uint32_t i = 0; i < shape.cols; ++i) to[i] *= weights[i];
    }
    if (bias != nullptr) {
      for (uint32_t i = 0; i < shape.cols; ++i) to[i] += bias[group * shape.weight_stride + i];
    }
  }
}

namespace {

// Elements first .. first + count of a row: where they lie, or gathered into `own`.
const float* operand_at(const Operand& operand, uint32_t row, uint32_t first, uint32_t count, float* own) {
  const float* from = reinterpret_cast<const float*>(operand.address) + uint64_t{row} * operand.stride;
  if (operand.group == 1 && (operand.period == 0 || first + count <= operand.period)) return from + first;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t at = (first + i) / operand.group;
    own[i] = from[operand.period == 0 ? at : at % operand.period];
  }
  return own;
}

bool is_plain_silu(const Glu& glu) {
  return glu.f == Activation::kSilu && glu.alpha == 1 && glu.gate_low == -INFINITY && glu.gate_high == INFINITY && glu.up_low == -INFINITY &&
         glu.up_high == INFINITY && glu.up_offset == 0;
}

}  // namespace

void MapStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint32_t item = first; item < end; ++item) {
    const uint32_t col = item % runs() * kCols;
    run_cols(item / runs(), col, std::min(kCols, cols - col), context);
  }
}

void MapStage::run_cols(uint32_t row, uint32_t first, uint32_t count, const StageContext& context) const {
  auto* own = reinterpret_cast<float*>(context.own);
  float* to = floats_at(out, row, first);
  const float* gate = operand_at(a, row, first, count, own);
  const float* up = b.address != 0 ? operand_at(b, row, first, count, own + kCols) : nullptr;
  const float* added = c.address != 0 ? operand_at(c, row, first, count, own + 2 * kCols) : nullptr;
  if (is_plain_silu(glu) && up != nullptr && added == nullptr && scale == 1.0f) return context.floats.gate_up(gate, up, to, count);
  for (uint32_t i = 0; i < count; ++i) {
    float value = activate(glu.f, glu.alpha, std::clamp(gate[i], glu.gate_low, glu.gate_high));
    if (up != nullptr) value *= std::clamp(up[i], glu.up_low, glu.up_high) + glu.up_offset;
    value *= scale;
    to[i] = added != nullptr ? value + added[i] : value;
  }
}

void RopeStage::run(uint32_t first, uint32_t end, const StageContext&) const {
  const uint32_t pairs = shape.dim / 2, step = shape.adjacent_pairs ? 2 : 1, apart = shape.adjacent_pairs ? 1 : pairs;
  for (uint64_t row = first; row < end; ++row) {
    const float* turns = table + row * shape.dim;
    for (uint64_t head = 0; head < shape.heads; ++head) {
      float* at = x + row * x_stride + head * shape.head_stride + shape.first;
      for (uint32_t i = 0; i < pairs; ++i, at += step) {
        const float cosine = turns[2 * i], sine = shape.inverse ? -turns[2 * i + 1] : turns[2 * i + 1];
        const float one = at[0], two = at[apart];
        at[0] = one * cosine - two * sine;
        at[apart] = one * sine + two * cosine;
      }
    }
  }
}

void StoreRowsStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint64_t row = first; row < end; ++row) {
    const uint64_t position = context.control.position + row;
    if (position >= context_tokens || (position + 1) % every != 0) continue;
    const float* from = x + row * x_stride;
    const uint64_t at = position / every * row_stride;
    if (element == KvElement::kF16) context.floats.narrow(from, reinterpret_cast<uint16_t*>(cache) + at, cols);
    else std::copy_n(from, cols, reinterpret_cast<float*>(cache) + at);
  }
}

void PrepareHeadsStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint64_t item = first; item < end; ++item) {
    const uint64_t head = item / n, row = item % n;
    context.dot.prepare(type, x + row * x_stride + head * shape.x_head_stride, shape.cols, context.shared + offset + item * stride_bytes);
  }
}

void HeadsStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint32_t item = first; item < end; ++item) {
    const uint64_t head = item / units(), row = item % units() * kRows;
    const uint32_t count = std::min<uint32_t>(kRows, static_cast<uint32_t>(shape.rows - row));
    const auto* rows = reinterpret_cast<const std::byte*>(weight.address) + (head * shape.rows + row) * row_bytes;
    const std::byte* activations = context.shared + offset + head * n * stride_bytes;
    context.dot.multiply(weight.type, rows, row_bytes, count, shape.cols, activations, stride_bytes, n, out + head * shape.out_head_stride + row,
                         out_stride);
  }
}

// Each row of weights is expanded once for all tokens of the item; an output is summed over the rows in order.
void TransposedHeadsStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  auto* sums = reinterpret_cast<float*>(context.own);
  float* expanded = sums + uint64_t{kTokens} * shape.rows;
  for (uint32_t item = first; item < end; ++item) {
    const uint64_t head = item / token_runs(), first_row = item % token_runs() * kTokens;
    const uint32_t rows = std::min<uint32_t>(kTokens, static_cast<uint32_t>(n - first_row));
    std::fill_n(sums, uint64_t{rows} * shape.rows, 0.0f);
    for (uint64_t c = 0; c < shape.cols; ++c) {
      const auto* blocks = reinterpret_cast<const std::byte*>(weight.address) + (head * shape.cols + c) * row_bytes;
      // Sizes fit: row_bytes says how many bytes the outputs are.
      static_cast<void>(dequantize(weight.type, {blocks, row_bytes}, {expanded, shape.rows}));
      for (uint64_t t = 0; t < rows; ++t) {
        context.floats.add_scaled(*floats_at(x, first_row + t, head * shape.x_head_stride + c), expanded, sums + t * shape.rows, shape.rows);
      }
    }
    for (uint64_t t = 0; t < rows; ++t) std::copy_n(sums + t * shape.rows, shape.rows, floats_at(out, first_row + t, head * shape.out_head_stride));
  }
}

}  // namespace hotset::cpu
