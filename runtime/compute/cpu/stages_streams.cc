#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/compute/cpu/stages.h"

namespace hotset::cpu {
namespace {

float* row_at(const Rows& rows, uint32_t row) { return reinterpret_cast<float*>(rows.address) + uint64_t{row} * rows.stride; }

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

// ---- compression

// Of the values (which = 0) or scores (1).
float* CompressStage::kept(uint32_t which, uint32_t position) const {
  return state + (uint64_t{which} * shape.positions() + position % shape.positions()) * shape.cols();
}

const float* CompressStage::input(uint32_t which, uint32_t position, const StageContext& context) const {
  const uint32_t first = context.control.position;
  return position >= first ? row_at(which == 0 ? values : scores, position - first) : kept(which, position);
}

void CompressStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint32_t item = first; item < end; ++item) {
    const uint32_t channel = item * kChannels, count = std::min(kChannels, shape.width - channel);
    for (uint32_t t = 0; t < n; ++t) run_token(t, channel, count, context);
    keep(channel, count, context);
    if (shape.overlap) keep(shape.width + channel, count, context);
  }
}

void CompressStage::run_token(uint32_t token, uint32_t channel, uint32_t count, const StageContext& context) const {
  float* to = row_at(out, token) + channel;
  std::fill_n(to, count, 0.0f);
  const uint32_t end = context.control.position + token + 1;
  if (end % shape.ratio != 0) return;
  if (scored()) weigh(to, end, channel, count, context);
  else average(to, end, channel, count, context);
}

void CompressStage::weigh(float* to, uint32_t end, uint32_t channel, uint32_t count, const StageContext& context) const {
  std::array<float, kChannels> highest, weight = {};
  highest.fill(-INFINITY);
  for (uint32_t at = end - std::min(end, shape.positions()); at < end; ++at) {
    const uint32_t col = channel + (shape.overlap && at + shape.ratio >= end ? shape.width : 0);
    const float* value = input(0, at, context) + col;
    const float* score = input(1, at, context) + col;
    const float* place = bias + uint64_t{at % shape.ratio} * shape.cols() + col;
    for (uint32_t i = 0; i < count; ++i) {
      const float own = score[i] + place[i], top = std::max(highest[i], own);
      const float shrink = std::exp(highest[i] - top), share = std::exp(own - top);
      highest[i] = top;
      weight[i] = weight[i] * shrink + share;
      to[i] = to[i] * shrink + share * value[i];
    }
  }
  for (uint32_t i = 0; i < count; ++i) to[i] /= weight[i];
}

void CompressStage::average(float* to, uint32_t end, uint32_t channel, uint32_t count, const StageContext& context) const {
  const uint32_t positions = std::min(end, shape.positions());
  for (uint32_t at = end - positions; at < end; ++at) {
    const float* value = input(0, at, context) + channel + (shape.overlap && at + shape.ratio >= end ? shape.width : 0);
    for (uint32_t i = 0; i < count; ++i) to[i] += value[i];
  }
  for (uint32_t i = 0; i < count; ++i) to[i] /= static_cast<float>(positions);
}

void CompressStage::keep(uint32_t col, uint32_t count, const StageContext& context) const {
  for (uint32_t t = n - std::min(n, shape.positions()); t < n; ++t) {
    const uint32_t position = context.control.position + t;
    for (uint32_t which = 0; which < (scored() ? 2 : 1); ++which) {
      std::copy_n(input(which, position, context) + col, count, kept(which, position) + col);
    }
  }
}

// ---- streams

void StreamWeightsStage::run(uint32_t first, uint32_t end, const StageContext&) const {
  for (uint32_t token = first; token < end; ++token) run_token(token);
}

void StreamWeightsStage::run_token(uint32_t token) const {
  const uint32_t streams = shape.streams;
  const float* mix = row_at(mixes, token);
  float* to = row_at(out, token);
  for (uint32_t i = 0; i < (2 + streams) * streams; ++i) {
    const float number = mix[i] * scale[std::min(i / streams, 2u)] + bias[i];
    to[i] = i < streams ? sigmoid(number) + shape.eps : i < 2 * streams ? 2 * sigmoid(number) : number;
  }
  keep_weights(to + 2 * streams);
}

// In place: numbers [from][to].
void StreamWeightsStage::keep_weights(float* keep) const {
  const uint32_t streams = shape.streams;
  for (uint32_t from = 0; from < streams; ++from) {
    float* row = keep + from * streams;
    const float top = *std::max_element(row, row + streams);
    float total = 0;
    for (uint32_t to = 0; to < streams; ++to) total += row[to] = std::exp(row[to] - top);
    for (uint32_t to = 0; to < streams; ++to) row[to] = row[to] / total + shape.eps;
  }
  const auto even_out = [&](uint32_t step, uint32_t stride) {
    for (uint32_t i = 0; i < streams; ++i) {
      float total = shape.eps;
      for (uint32_t j = 0; j < streams; ++j) total += keep[i * step + j * stride];
      for (uint32_t j = 0; j < streams; ++j) keep[i * step + j * stride] /= total;
    }
  };
  even_out(1, streams);
  for (uint32_t i = 1; i < shape.iterations; ++i) {
    even_out(streams, 1);
    even_out(1, streams);
  }
}

void MixStreamsStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint32_t token = first; token < end; ++token) run_token(token, context);
}

// By runs of columns, so that streams may change in place.
void MixStreamsStage::run_token(uint32_t token, const StageContext& context) const {
  constexpr uint32_t kColumns = 64;
  std::array<float, shaders::kMaxStreams * kColumns> sums;
  const float* from = row_at(x, token);
  const float* weight = row_at(weights, token);
  for (uint32_t col = 0; col < shape.width; col += kColumns) {
    const uint32_t count = std::min(kColumns, shape.width - col);
    sums.fill(0);
    for (uint32_t o = 0; o < shape.outs; ++o) {
      float* sum = sums.data() + o * kColumns;
      if (added.address != 0) context.floats.add_scaled(row_at(added_weights, token)[o], row_at(added, token) + col, sum, count);
      for (uint32_t s = 0; s < shape.ins; ++s) context.floats.add_scaled(weight[s * shape.outs + o], from + s * shape.width + col, sum, count);
    }
    for (uint32_t o = 0; o < shape.outs; ++o) std::copy_n(sums.data() + o * kColumns, count, row_at(out, token) + o * shape.width + col);
  }
}

}  // namespace hotset::cpu
