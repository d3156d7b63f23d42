// OpsCpu: residual streams and the compression of runs of positions.
#include "platform/check.h"
#include "runtime/compute/cpu/record.h"

namespace hotset {

using cpu::pointer;

void OpsCpu::compress(const CompressShape& shape, const Rows& values, const Rows& scores, uint64_t bias, uint64_t state, const Rows& out, uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.ratio > 0 && shape.width > 0 && (scores.address == 0) == (bias == 0));
  const cpu::CompressStage stage = {shape, values, scores, pointer<const float>(bias), pointer<float>(state), out, n};
  push(stage, uint64_t{n} * shape.cols() * 8);
}

void OpsCpu::stream_weights(const StreamShape& shape, const Rows& mixes, uint64_t scale, uint64_t bias, const Rows& out, uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.streams > 0 && shape.streams <= shaders::kMaxStreams);
  push(cpu::StreamWeightsStage{shape, mixes, pointer<const float>(scale), pointer<const float>(bias), out, n},
       uint64_t{n} * shape.streams * shape.streams * (1 + shape.iterations));
}

void OpsCpu::mix_streams(const MixShape& shape, const Rows& x, const Rows& weights, const Rows& added, const Rows& added_weights, const Rows& out,
                         uint32_t n) {
  HOTSET_CHECK(n > 0 && shape.ins > 0 && shape.ins <= shaders::kMaxStreams && shape.outs > 0 && shape.outs <= shaders::kMaxStreams);
  HOTSET_CHECK((added.address == 0) == (added_weights.address == 0));
  push(cpu::MixStreamsStage{shape, x, weights, added, added_weights, out, n}, n == 1 ? 0 : uint64_t{n} * shape.ins * shape.outs * shape.width);
}

}  // namespace hotset
