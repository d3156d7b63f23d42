// OpsVulkan: residual streams and the compression of runs of positions.
#include "platform/check.h"
#include "runtime/compute/ops_vulkan.h"
#include "shaders/shaders.h"

namespace hotset {
namespace {

constexpr uint32_t ceil_div(uint32_t value, uint32_t by) { return (value + by - 1) / by; }

// What n rows of `cols` floats cover.
Tensor span_of(const Rows& rows, uint32_t n, uint32_t cols) {
  if (rows.address == 0) return {};
  return {rows.address, (uint64_t{n - 1} * rows.stride + cols) * sizeof(float)};
}
Tensor floats_at(uint64_t address, uint64_t count) { return {address, count * sizeof(float)}; }

}  // namespace

void OpsVulkan::compress(const CompressShape& shape, const Rows& values, const Rows& scores, uint64_t bias, uint64_t state, const Rows& out, uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.ratio > 0 && shape.width > 0);
  const uint32_t lanes = tuning::elementwise_workgroup(device_.limits()), cols = shape.cols(), positions = shape.positions();
  HOTSET_CHECK((scores.address == 0) == (bias == 0));
  const Tensor kept = floats_at(state, shape.state_floats(scores.address != 0));
  const Tensor given[] = {span_of(values, n, cols), span_of(scores, n, cols)};
  const shaders::CompressPush push = {control_, values.address, scores.address, bias, state, out.address, shape.width, cols, shape.ratio, positions, n,
                                      values.stride, scores.stride, out.stride};
  order({given[0], given[1], bias == 0 ? Tensor{} : floats_at(bias, uint64_t{shape.ratio} * cols), kept}, {span_of(out, n, shape.width)});
  if (const Program* make = program({"compress", shaders::compress, {lanes, false}})) dispatch(*make, push, ceil_div(shape.width, lanes), n);
  order({given[0], given[1]}, {kept});
  if (const Program* keep = program({"compress", shaders::compress, {lanes, true}})) dispatch(*keep, push, ceil_div(cols, lanes), positions);
}

void OpsVulkan::stream_weights(const StreamShape& shape, const Rows& mixes, uint64_t scale, uint64_t bias, const Rows& out, uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.streams > 0 && shape.streams <= shaders::kMaxStreams);
  const uint32_t lanes = tuning::elementwise_workgroup(device_.limits()), cols = (2 + shape.streams) * shape.streams;
  const Program* made = program({"stream_weights", shaders::stream_weights, {lanes, shape.streams}});
  if (made == nullptr) return;
  order({span_of(mixes, n, cols), floats_at(scale, 3), floats_at(bias, cols)}, {span_of(out, n, cols)});
  const shaders::StreamWeightsPush push = {control_, mixes.address, scale, bias, out.address, n, shape.iterations, mixes.stride, out.stride, shape.eps};
  dispatch(*made, push, ceil_div(n, lanes));
}

void OpsVulkan::mix_streams(const MixShape& shape, const Rows& x, const Rows& weights, const Rows& added, const Rows& added_weights, const Rows& out,
                            uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.ins > 0 && shape.ins <= shaders::kMaxStreams && shape.outs > 0 && shape.outs <= shaders::kMaxStreams);
  HOTSET_CHECK((added.address == 0) == (added_weights.address == 0));
  const uint32_t lanes = tuning::elementwise_workgroup(device_.limits());
  const Program* made = program({"mix_streams", shaders::mix_streams, {lanes, shape.ins, shape.outs}});
  if (made == nullptr) return;
  order({span_of(x, n, shape.ins * shape.width), span_of(weights, n, shape.ins * shape.outs), span_of(added, n, shape.width),
         span_of(added_weights, n, shape.outs)},
        {span_of(out, n, shape.outs * shape.width)});
  const shaders::MixStreamsPush push = {control_, x.address, weights.address, added.address, added_weights.address, out.address, shape.width,
                                        x.stride, weights.stride, added.stride, added_weights.stride, out.stride};
  dispatch(*made, push, ceil_div(shape.width, lanes), n);
}

}  // namespace hotset
