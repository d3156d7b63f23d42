// Blocks: residual streams.
#include "runtime/model/blocks.h"

namespace hotset {
namespace {

constexpr Glu kPlain = {.f = Activation::kNone};

uint32_t width_of(const Value& streams, const StreamShape& shape) { return streams.width / shape.streams; }

// Products of all streams, normed together.
Value mixes_of(Graph& graph, const Value& streams, const std::string& part, uint32_t count) {
  const Value normed = graph.norm(streams, {.cols = streams.width, .eps = graph.config().norm_epsilon}, nullptr);
  return graph.multiply(normed, graph.matrix(part + "_fn.weight", count, streams.width));
}

// The sum of the streams, each times its column of `weights`.
Value weighed(Graph& graph, const Value& streams, const Value& weights, const StreamShape& shape) {
  const Value out = graph.value(width_of(streams, shape));
  graph.push(MixStreamsStep{{shape.streams, 1, out.width}, streams, weights, {}, {}, out});
  return out;
}

}  // namespace

Value split_streams(Graph& graph, const Value& x, uint32_t count) {
  const Value streams = graph.value(count * x.width);
  graph.map({.glu = kPlain, .a = {.value = x, .period = x.width}, .b = {}, .c = {}, .out = streams});
  return streams;
}

StreamRead read_streams(Graph& graph, const Value& streams, const std::string& part, const StreamShape& shape) {
  const uint32_t count = (2 + shape.streams) * shape.streams;
  const Value mixes = mixes_of(graph, streams, part, count);
  graph.push(StreamWeightsStep{shape, mixes, graph.vector(part + "_scale.weight", 3), graph.vector(part + "_base.weight", count), mixes});
  return {weighed(graph, streams, mixes.columns(0, shape.streams), shape), mixes};
}

void write_streams(Graph& graph, const StreamRead& read, const Value& output, const Value& streams, const StreamShape& shape) {
  const uint32_t count = shape.streams;
  graph.push(MixStreamsStep{{count, count, output.width}, streams, read.weights.columns(2 * count, count * count), output,
                            read.weights.columns(count, count), streams});
}

Value join_streams(Graph& graph, const Value& streams, const StreamShape& shape) {
  const Value mixes = mixes_of(graph, streams, "output_hc", shape.streams);
  graph.multiply_by(mixes, {.vector = graph.vector("output_hc_scale.weight", 1), .period = 1});
  graph.add_vector(mixes, graph.vector("output_hc_base.weight", shape.streams));
  const MapOperand eps = {.constant = graph.constant({shape.eps}), .period = 1};
  graph.map({.glu = {.f = Activation::kSigmoid}, .a = {.value = mixes}, .b = {}, .c = eps, .out = mixes});
  return weighed(graph, streams, mixes, shape);
}

}  // namespace hotset
