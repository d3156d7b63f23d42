#include <algorithm>

#include "runtime/compute/cpu/stages.h"

namespace hotset::cpu {

void EmbedStage::run(uint32_t first, uint32_t end, const StageContext&) const {
  const uint64_t bytes = row_bytes(table.type, table.cols).value();
  for (uint32_t t = first; t < end; ++t) {
    const auto* row = reinterpret_cast<const std::byte*>(table.address) + tokens[t] * bytes;
    // Sizes fit: row_bytes says how many bytes the columns are.
    static_cast<void>(dequantize(table.type, {row, bytes}, {out + uint64_t{t} * table.cols, table.cols}));
  }
}

void NormStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint64_t row = first; row < end; ++row) context.floats.rms_norm(x + row * cols, weight, out + row * cols, cols, eps);
}

void PrepareStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint64_t row = first; row < end; ++row) {
    if (addresses != nullptr && addresses[row] == 0) continue;
    context.dot.prepare(type, x + row * cols, cols, context.shared + out.offset + row * out.stride_bytes);
  }
}

void AddStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  const uint32_t begin = first * kFloats;
  context.floats.add(out + begin, x + begin, out + begin, std::min(end * kFloats, count) - begin);
}

void ExportStage::run(uint32_t, uint32_t, const StageContext& context) const {
  if (context.control.stop == stop_value) std::copy_n(x, count, out);
}

uint32_t MultiplyStage::units() const {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < count; ++i) sum += (products[i].weight.rows + unit_rows - 1) / unit_rows;
  return sum;
}

void MultiplyStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  const uint32_t blocks = token_blocks();
  if (blocks == 1) return run_rows(first, end, 0, context);
  for (uint32_t item = first; item < end; ++item) run_rows(item / blocks, item / blocks + 1, item % blocks, context);
}

// Units count through the products one after the other.
void MultiplyStage::run_rows(uint32_t first_unit, uint32_t end_unit, uint32_t block, const StageContext& context) const {
  const uint32_t first_token = block * token_block, end_token = std::min(n, first_token + token_block);
  uint32_t before = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t rows = products[i].weight.rows, units = (rows + unit_rows - 1) / unit_rows;
    const uint32_t begin = std::max(first_unit, before), end = std::min(end_unit, before + units);
    if (begin < end) multiply(products[i], (begin - before) * unit_rows, std::min(rows, (end - before) * unit_rows), first_token, end_token, context);
    before += units;
  }
}

void MultiplyStage::multiply(const RowProduct& product, uint32_t first_row, uint32_t end_row, uint32_t first_token, uint32_t end_token,
                             const StageContext& context) const {
  const auto* weights = reinterpret_cast<const std::byte*>(product.weight.address);
  const std::byte* activations = product.activations.row(context, first_token);
  const uint32_t tokens = end_token - first_token, rows = product.weight.rows;
  float* out = product.out + uint64_t{first_token} * rows;
  const auto multiply_into = [&](uint32_t row, uint32_t row_count, float* to, uint64_t stride) {
    context.dot.multiply(product.weight.type, weights + row * product.row_bytes, product.row_bytes, row_count, product.weight.cols, activations,
                         product.activations.stride_bytes, tokens, to, stride);
  };
  if (residual == nullptr) return multiply_into(first_row, end_row - first_row, out + first_row, rows);
  auto* sums = reinterpret_cast<float*>(context.own);
  const uint32_t at_once = kResidualFloats / token_block;
  for (uint32_t row = first_row; row < end_row; row += at_once) {
    const uint32_t row_count = std::min(at_once, end_row - row);
    multiply_into(row, row_count, sums, row_count);
    for (uint32_t t = 0; t < tokens; ++t) {
      const float* added = residual + uint64_t{first_token + t} * rows + row;
      context.floats.add(added, sums + uint64_t{t} * row_count, out + uint64_t{t} * rows + row, row_count);
    }
  }
}

}  // namespace hotset::cpu
