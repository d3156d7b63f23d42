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
  graph.push(MixStreamsStep{.shape = {shape.streams, 1, out.width}, .x = streams, .weights = weights, .added = {}, .added_weights = {}, .out = out});
  return out;
}

// numbers = f(numbers * scale + bias) * factor + eps, with a scale for each `group` of them. In place.
void weights_from(Graph& graph, const Value& numbers, const std::string& part, uint32_t group, const MapOperand& factor, float eps) {
  const TensorInfo* scale = graph.vector(part + "_scale.weight", numbers.width / group);
  const TensorInfo* bias = graph.vector(part + "_base.weight", numbers.width);
  graph.map({.glu = kPlain, .a = {.value = numbers}, .b = {.vector = scale, .group = group}, .c = {.vector = bias}, .out = numbers});
  const MapOperand summand = {.constant = graph.constant({eps}), .period = 1};
  graph.map({.glu = {.f = Activation::kSigmoid}, .a = {.value = numbers}, .b = factor, .c = summand, .out = numbers});
}

// Of every stream, which the file may keep as a row a stream.
const TensorInfo* stream_norms(Graph& graph, const std::string& part, uint32_t count, uint32_t width) {
  const TensorInfo* tensor = graph.tensor(part);
  if (tensor == nullptr || tensor->n_dims != 2) return graph.vector(part, count * width);
  graph.require(tensor->type == BlockType::kF32, "quantised norms of streams");
  return graph.use(graph.stack(part, count, 0, width));
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
  MixStreamsStep step = {.shape = {count, count, output.width}, .x = streams, .weights = read.weights.columns(2 * count, count * count),
                         .added = output, .added_weights = read.weights.columns(count, count), .out = streams};
  graph.push(step);
}

Value join_streams(Graph& graph, const Value& streams, const StreamShape& shape) {
  const Value mixes = mixes_of(graph, streams, "output_hc", shape.streams);
  weights_from(graph, mixes, "output_hc", shape.streams, {}, shape.eps);
  return weighed(graph, streams, mixes, shape);
}

StreamRead read_kept_streams(Graph& graph, const Value& streams, const std::string& part, const StreamShape& shape, float magnitude) {
  const uint32_t count = shape.streams;
  const Value mixes = mixes_of(graph, streams, part, 2 * count);
  weights_from(graph, mixes, part, count, {.constant = graph.constant({1, magnitude}), .group = count}, shape.eps);
  return {weighed(graph, streams, mixes.columns(0, count), shape), mixes.columns(count, count)};
}

StreamRead read_gated_streams(Graph& graph, const Value& streams, const std::string& part, uint32_t count, bool writes) {
  const uint32_t width = streams.width / count, rank = graph.number("hyper_connection.low_rank", 0);
  const float share = 1 / static_cast<float>(count);
  const NormShape norm = {.groups = count, .cols = width, .weight_stride = width, .eps = graph.config().norm_epsilon};
  const Value normed = graph.norm(streams, norm, stream_norms(graph, part + "_norm.weight", count, width));
  // silu of the share
  const Value low = graph.activate(Activation::kSilu, graph.linear(normed, part + "_down", rank), share, share);
  const Value gated = graph.linear(low, part + "_up", streams.width);
  graph.map({.glu = {.f = Activation::kSigmoid}, .a = {.value = gated}, .b = {.value = normed}, .c = {}, .out = gated});
  StreamRead read = {graph.value(width), {}};
  MixStreamsStep mean = {.shape = {count, 1, width}, .x = gated, .weights = {}, .added = {}, .added_weights = {}, .out = read.x};
  mean.constant_weights = graph.constant(std::vector<float>(count, share));
  graph.push(mean);
  if (writes) read.weights = graph.activate(Activation::kSigmoid, graph.linear(normed, part + "_inject", count), 2, share);
  return read;
}

void add_to_streams(Graph& graph, const StreamRead& read, const Value& output, const Value& streams) {
  graph.map({.glu = kPlain, .a = {.value = output, .period = output.width}, .b = {.value = read.weights, .group = output.width},
             .c = {.value = streams}, .out = streams});
}

}  // namespace hotset
