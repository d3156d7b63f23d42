// OpsVulkan: recurrences over tokens: convolutions, linear attention, selective scans.
#include "platform/check.h"
#include "runtime/compute/ops_vulkan.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

// Columns of a head that a subgroup of linear attention keeps: that many floats for each of a lane's keys.
constexpr uint32_t kMostColumns = 8;

static_assert(static_cast<uint32_t>(Decay::kNone) == shaders::kDecayNone && static_cast<uint32_t>(Decay::kHead) == shaders::kDecayHead &&
              static_cast<uint32_t>(Decay::kChannel) == shaders::kDecayChannel && static_cast<uint32_t>(Decay::kConstant) == shaders::kDecayConstant);

uint32_t ceil_div(uint32_t value, uint32_t by) { return (value + by - 1) / by; }

// What n rows of `cols` floats cover.
Tensor span_of(const Rows& rows, uint32_t n, uint32_t cols) {
  if (rows.address == 0) return {};
  return {rows.address, (uint64_t{n - 1} * rows.stride + cols) * sizeof(float)};
}
Tensor floats_at(uint64_t address, uint64_t count) { return {address, count * sizeof(float)}; }

Tensor decays_of(const LinearAttentionShape& shape, const Rows& decay, uint32_t n) {
  switch (shape.decay) {
    case Decay::kNone: break;
    case Decay::kHead: return span_of(decay, n, shape.heads);
    case Decay::kChannel: return span_of(decay, n, shape.heads * shape.key_dim);
    case Decay::kConstant: return floats_at(decay.address, shape.heads);
  }
  return {};
}

}  // namespace

void OpsVulkan::conv(const ConvShape& shape, const Rows& x, uint64_t weight, uint64_t bias, uint64_t state, const Rows& out, uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.kernel > 0 && shape.kernel <= shaders::kMaxConvKernel);
  const uint32_t lanes = tuning::elementwise_workgroup(device_.limits());
  const Program* convolve = program({"conv", shaders::conv, {lanes, shape.kernel, static_cast<uint32_t>(shape.f)}});
  if (convolve == nullptr) return;
  const Tensor rows = floats_at(state, uint64_t{shape.kernel - 1} * shape.channels);
  order({span_of(x, n, shape.channels), rows}, {span_of(out, n, shape.channels), rows});
  const shaders::ConvPush push = {control_, x.address, weight, bias, state, out.address, shape.channels, n, x.stride, out.stride};
  dispatch(*convolve, push, ceil_div(shape.channels, lanes), ceil_div(n, shaders::kConvTokens));
}

void OpsVulkan::linear_attention(const LinearAttentionShape& shape, const Rows& q, const Rows& k, const Rows& v, const Rows& decay, const Rows& beta,
                                 uint64_t state, const Rows& out, uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.key_heads > 0 && shape.heads % shape.key_heads == 0 && shape.key_dim > 0 && shape.key_dim <= shaders::kMaxStateDim);
  const uint32_t lanes = device_.limits().subgroup_size, columns = std::min(kMostColumns, lanes);
  const Program* attend = program({"linear_attention", shaders::linear_attention,
                                   {lanes, shape.key_dim, columns, static_cast<uint32_t>(shape.decay), shape.delta}});
  if (attend == nullptr) return;
  const uint32_t key_cols = shape.key_heads * shape.key_dim, value_cols = shape.heads * shape.value_dim;
  const Tensor memory = floats_at(state, uint64_t{shape.key_dim} * value_cols);
  const Tensor keys = span_of(k, n, key_cols), values = span_of(v, n, value_cols), factors = span_of(beta, n, shape.heads);
  order({span_of(q, n, key_cols), keys, values, decays_of(shape, decay, n), factors, memory}, {span_of(out, n, value_cols), memory});
  shaders::LinearAttentionPush push = {control_, q.address, k.address, v.address, decay.address, beta.address, state, out.address};
  push.n = n;
  push.key_heads = shape.key_heads;
  push.key_group = shape.tiled_heads ? 1 : shape.heads / shape.key_heads;
  push.value_dim = shape.value_dim;
  push.q_stride = q.stride;
  push.k_stride = k.stride;
  push.v_stride = v.stride;
  push.decay_stride = decay.stride;
  push.beta_stride = beta.stride;
  push.out_stride = out.stride;
  push.scale = shape.scale;
  dispatch(*attend, push, ceil_div(shape.value_dim, columns), shape.heads);
}

void OpsVulkan::selective_scan(const SelectiveScanShape& shape, const Rows& x, const Rows& dt, const Rows& b, const Rows& c, uint64_t a, uint64_t d,
                               uint64_t state, const Rows& out, uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.state_dim > 0 && shape.state_dim <= shaders::kMaxStateDim);
  const uint32_t lanes = device_.limits().subgroup_size;
  const Program* scan = program({"selective_scan", shaders::selective_scan, {lanes, shape.state_dim}});
  if (scan == nullptr) return;
  const Tensor memory = floats_at(state, uint64_t{shape.channels} * shape.state_dim);
  order({span_of(x, n, shape.channels), span_of(dt, n, shape.channels), span_of(b, n, shape.state_dim), span_of(c, n, shape.state_dim), memory},
        {span_of(out, n, shape.channels), memory});
  shaders::SelectiveScanPush push = {control_, x.address, dt.address, b.address, c.address, a, d, state, out.address};
  push.channels = shape.channels;
  push.n = n;
  push.x_stride = x.stride;
  push.dt_stride = dt.stride;
  push.b_stride = b.stride;
  push.c_stride = c.stride;
  push.out_stride = out.stride;
  dispatch(*scan, push, ceil_div(shape.channels, lanes));
}

}  // namespace hotset
