#include <algorithm>
#include <array>

#include "runtime/compute/cpu/activation_function.h"
#include "runtime/compute/cpu/stages.h"

namespace hotset::cpu {

void ConvStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint32_t item = first; item < end; ++item) {
    const uint32_t channel = item * kChannels;
    run_channels(channel, std::min(kChannels, shape.channels - channel), context);
  }
}

// Tokens before the first are the state's.
const float* ConvStage::input_at(int64_t token, uint32_t channel) const {
  if (token >= 0) return row_of(x, static_cast<uint32_t>(token)) + channel;
  return state + static_cast<uint64_t>(token + shape.kernel - 1) * shape.channels + channel;
}

void ConvStage::run_channels(uint32_t channel, uint32_t count, const StageContext& context) const {
  auto* taps = reinterpret_cast<float*>(context.own);
  for (uint32_t j = 0; j < shape.kernel; ++j) {
    for (uint32_t i = 0; i < count; ++i) taps[j * count + i] = weight[uint64_t{channel + i} * shape.kernel + j];
  }
  for (uint32_t j = 0; context.control.position == 0 && j + 1 < shape.kernel; ++j) {
    std::fill_n(state + uint64_t{j} * shape.channels + channel, count, 0.0f);
  }
  const bool silu = shape.f == Activation::kSilu;
  std::array<const float*, shaders::kMaxConvKernel> rows = {};
  for (uint32_t t = 0; t < n; ++t) {
    for (uint32_t j = 0; j < shape.kernel; ++j) rows[j] = input_at(int64_t{t} + j + 1 - shape.kernel, channel);
    float* const to = out + t * out_stride + channel;
    context.floats.recurrent.convolve(rows.data(), taps, bias != nullptr ? bias + channel : nullptr, shape.kernel, silu, to, count);
    if (silu || shape.f == Activation::kNone) continue;
    for (uint32_t i = 0; i < count; ++i) to[i] = activate(shape.f, 1, to[i]);
  }
  keep_last(channel, count);
}

// Upwards, so that rows which stay are read before they are written.
void ConvStage::keep_last(uint32_t channel, uint32_t count) const {
  for (uint32_t j = 0; j + 1 < shape.kernel; ++j) {
    std::copy_n(input_at(int64_t{n} + j + 1 - shape.kernel, channel), count, state + uint64_t{j} * shape.channels + channel);
  }
}

void LinearAttentionStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint32_t item = first; item < end; ++item) run_columns(item / runs_per_head(), item % runs_per_head() * kStateColumns, context);
}

// S stays in this thread's own memory while tokens go by.
void LinearAttentionStage::run_columns(uint32_t head, uint32_t column, const StageContext& context) const {
  const uint32_t key_head = shape.tiled_heads ? head % shape.key_heads : head / (shape.heads / shape.key_heads);
  const uint64_t key_at = uint64_t{key_head} * shape.key_dim, value_at = uint64_t{head} * shape.value_dim + column;
  const uint64_t decay_at = shape.decay == Decay::kChannel ? uint64_t{head} * shape.key_dim : head;
  const auto from = [](const TokenRows& rows, uint64_t offset) { return TokenRows{rows.at != nullptr ? rows.at + offset : nullptr, rows.stride}; };
  HeadRun run = {};
  run.q = from(q, key_at);
  run.k = from(k, key_at);
  run.v = from(v, value_at);
  run.decay = from(decay, decay_at);
  run.beta = from(beta, head);
  run.out = out + value_at;
  run.out_stride = out_stride;
  run.s = reinterpret_cast<float*>(context.own);
  run.factors = run.s + uint64_t{shape.key_dim} * kStateColumns;
  run.n = n;
  run.key_dim = shape.key_dim;
  run.columns = std::min(kStateColumns, shape.value_dim - column);
  run.decay_by_key = shape.decay == Decay::kChannel;
  run.delta = shape.delta;
  run.scale = shape.scale;
  float* const memory = state + uint64_t{head} * shape.key_dim * shape.value_dim + column;
  std::fill_n(run.s, uint64_t{shape.key_dim} * kStateColumns, 0.0f);
  for (uint64_t i = 0; context.control.position != 0 && i < shape.key_dim; ++i) {
    std::copy_n(memory + i * shape.value_dim, run.columns, run.s + i * kStateColumns);
  }
  context.floats.recurrent.linear_attention(run);
  for (uint64_t i = 0; i < shape.key_dim; ++i) std::copy_n(run.s + i * kStateColumns, run.columns, memory + i * shape.value_dim);
}

void SelectiveScanStage::run(uint32_t first, uint32_t end, const StageContext& context) const {
  for (uint32_t item = first; item < end; ++item) {
    const uint32_t channel = item * kChannels, count = std::min(kChannels, shape.channels - channel);
    const uint64_t at = uint64_t{channel} * shape.state_dim;
    if (context.control.position == 0) std::fill_n(state + at, uint64_t{count} * shape.state_dim, 0.0f);
    context.floats.recurrent.selective_scan({{x.at + channel, x.stride}, {dt.at + channel, dt.stride}, b, c, a + at, d + channel, state + at,
                                             out + channel, out_stride, n, count, shape.state_dim});
  }
}

}  // namespace hotset::cpu
