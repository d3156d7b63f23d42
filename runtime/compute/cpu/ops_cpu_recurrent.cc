// OpsCpu: recurrences over tokens: convolutions, linear attention, selective scans.
#include "platform/check.h"
#include "runtime/compute/cpu/record.h"

namespace hotset {

using cpu::pointer;

namespace {

cpu::TokenRows rows_at(const Rows& rows) { return {pointer<const float>(rows.address), rows.stride}; }

// A kConstant decay is the same row for every token.
cpu::TokenRows decays_at(Decay kind, const Rows& decay) {
  if (kind == Decay::kNone) return {};
  return {pointer<const float>(decay.address), kind == Decay::kConstant ? 0 : uint64_t{decay.stride}};
}

}  // namespace

void OpsCpu::conv(const ConvShape& shape, const Rows& x, uint64_t weight, uint64_t bias, uint64_t state, const Rows& out, uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.kernel > 0 && shape.kernel <= shaders::kMaxConvKernel);
  const cpu::ConvStage stage = {shape, rows_at(x), pointer<const float>(weight), pointer<const float>(bias), pointer<float>(state),
                                pointer<float>(out.address), out.stride, n};
  push(stage, uint64_t{n} * shape.channels, stage.own_bytes());
}

void OpsCpu::linear_attention(const LinearAttentionShape& shape, const Rows& q, const Rows& k, const Rows& v, const Rows& decay, const Rows& beta,
                              uint64_t state, const Rows& out, uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.key_heads > 0 && shape.heads % shape.key_heads == 0 && shape.key_dim > 0 && shape.key_dim <= shaders::kMaxStateDim);
  const cpu::LinearAttentionStage stage = {shape, rows_at(q), rows_at(k), rows_at(v), decays_at(shape.decay, decay), rows_at(beta),
                                           pointer<float>(state), pointer<float>(out.address), out.stride, n};
  push(stage, uint64_t{n} * shape.heads * shape.key_dim * shape.value_dim / cpu::kProductsPerValue, stage.own_bytes());
}

void OpsCpu::selective_scan(const SelectiveScanShape& shape, const Rows& x, const Rows& dt, const Rows& b, const Rows& c, uint64_t a, uint64_t d,
                            uint64_t state, const Rows& out, uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.state_dim > 0 && shape.state_dim <= shaders::kMaxStateDim);
  const cpu::SelectiveScanStage stage = {shape, rows_at(x), rows_at(dt), rows_at(b), rows_at(c), pointer<const float>(a), pointer<const float>(d),
                                         pointer<float>(state), pointer<float>(out.address), out.stride, n};
  push(stage, uint64_t{n} * shape.channels * shape.state_dim);
}

}  // namespace hotset
