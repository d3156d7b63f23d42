// DeepSeek-V4: residual streams with hyper-connections; attention to a window and, beside it, to rows that each stand for a run of
// positions, all of them or those that an indexer chooses; experts that the first layers choose by token.
#include <cmath>

#include "runtime/model/families/families.h"

namespace hotset {
namespace {

constexpr uint32_t kOverlapRatio = 4;  // layers whose runs overlap, and that have an indexer

struct Heads {
  uint32_t count = 0;
  uint32_t dim = 0;
  uint32_t rope_dim = 0;  // the last dims
  uint32_t ratio = 0;     // positions of a run; 0: only the window
  RopeSpec rope;
};

Heads heads_of_layer(Graph& g) {
  const ModelConfig& config = g.config();
  const std::vector<int64_t> ratios = g.numbers("attention.compress_ratios");
  Heads heads = {.count = config.layer_heads[g.layer()], .dim = config.key_length, .rope_dim = g.number("rope.dimension_count", 0)};
  const int64_t ratio = g.layer() < ratios.size() ? ratios[g.layer()] : 0;
  g.require(ratio >= 0 && ratio <= INT32_MAX, "this compression of keys");
  g.require(heads.dim != 0 && heads.rope_dim <= heads.dim && config.value_length == heads.dim, "these sizes of attention heads");
  heads.ratio = static_cast<uint32_t>(ratio);
  heads.rope = {.dim = heads.rope_dim, .base = config.rope_base};
  if (heads.ratio != 0) heads.rope = rope_from_metadata(g, heads.rope_dim, g.real("attention.compress_rope_freq_base", config.rope_base));
  heads.rope.magnitude = 1;
  return heads;
}

void turn(Graph& g, const Value& x, const Heads& heads, uint32_t count, uint32_t dim, bool inverse = false) {
  const RopeShape shape = {.heads = count, .head_stride = dim, .first = dim - heads.rope_dim, .dim = heads.rope_dim, .adjacent_pairs = true, .inverse = inverse};
  g.rope(shape, x, g.rope_table(heads.rope));
}

// A cache of rows of `dim` that stand for runs of positions: `part`_kv and _gate of x, compressed, normed, turned to the run's first.
StateId compressed_keys(Graph& g, const Value& x, const std::string& part, const Heads& heads, uint32_t dim) {
  const CompressShape shape = {.width = dim, .ratio = heads.ratio, .overlap = heads.ratio == kOverlapRatio};
  const MatrixSpec bias = g.matrix(part + "_ape.weight", shape.ratio, shape.cols());
  g.require(bias.tensor == nullptr || bias.tensor->type == BlockType::kF32, "quantised biases of compressed keys");
  CompressStep step = {.shape = shape, .values = {}, .scores = {}, .bias = bias.tensor, .state = g.fixed_state(static_cast<uint32_t>(shape.state_floats())), .out = g.value(dim)};
  step.values = g.linear(x, part + "_kv", shape.cols());
  step.scores = g.linear(x, part + "_gate", shape.cols());
  g.push(step);
  const NormShape norm = {.cols = dim, .eps = g.config().norm_epsilon};
  g.norm_into(step.out, norm, g.vector(part + "_norm.weight", dim), nullptr, step.out);
  Heads first = heads;
  first.rope.every = heads.ratio;
  turn(g, step.out, first, 1, dim);
  const StateId cache = g.cache(dim, heads.ratio);
  g.push(StoreRowsStep{step.out, cache});
  return cache;
}

// The best runs by an indexer whose keys are compressed likewise.
Value choose_runs(Graph& g, const Value& x, const Value& query, const Heads& heads) {
  SelectShape shape = indexer_from_metadata(g, heads.rope_dim, 0).shape;
  shape.every = heads.ratio;
  const Value q = g.linear(query, "indexer.attn_q_b", shape.heads * shape.head_dim);
  turn(g, q, heads, shape.heads, shape.head_dim);
  const Value weights = g.linear(x, "indexer.proj", shape.heads);
  const StateId keys = compressed_keys(g, x, "indexer_compressor", heads, shape.head_dim);
  const SelectStep step = {.shape = shape, .q = q, .weights = weights, .keys = keys, .mask = g.mask(1, heads.ratio)};
  g.push(step);
  return step.mask;
}

// attn_output_a has a matrix for each group of heads.
Value project(Graph& g, const Value& attended) {
  const uint32_t groups = g.number("attention.output_group_count", 1), rank = g.number("attention.output_lora_rank", 0);
  g.require(groups != 0 && attended.width % groups == 0, "these groups of attention heads");
  const uint32_t cols = attended.width / std::max(1u, groups);
  const HeadsShape shape = {.heads = groups, .rows = rank, .cols = cols, .x_head_stride = cols, .out_head_stride = rank};
  return g.linear(g.heads(shape, g.matrices("attn_output_a.weight", groups, rank, cols), attended), "attn_output_b", g.config().embedding);
}

Value attend(Graph& g, const Value& x) {
  const Heads heads = heads_of_layer(g);
  const float eps = g.config().norm_epsilon;
  const Value query = g.norm(g.linear(x, "attn_q_a", g.number("attention.q_lora_rank", 0)), "attn_q_a_norm");
  const Value q = g.linear(query, "attn_q_b", heads.count * heads.dim);
  g.norm_into(q, {.groups = heads.count, .cols = heads.dim, .eps = eps}, nullptr, nullptr, q);
  const Value kv = g.norm(g.linear(x, "attn_kv", heads.dim), "attn_kv_a_norm");
  turn(g, q, heads, heads.count, heads.dim);
  turn(g, kv, heads, 1, heads.dim);
  const StateId cache = g.cache(heads.dim);
  g.push(StoreRowsStep{kv, cache});
  AttendStep step = {.shape = {}, .q = q, .keys = cache, .values = cache, .mask = {}, .out = g.value(q.width)};
  step.shape = {.heads = heads.count, .kv_heads = 1, .head_dim = heads.dim, .value_dim = heads.dim};
  step.shape.scale = 1 / std::sqrt(static_cast<float>(heads.dim));
  step.shape.key_stride = step.shape.value_stride = heads.dim;
  step.shape.window = g.config().sliding_window;
  step.shape.beside_every = heads.ratio;
  step.sinks = g.vector("attn_sinks.weight", heads.count);
  if (heads.ratio != 0) step.beside = compressed_keys(g, x, "attn_compressor", heads, heads.dim);
  if (heads.ratio == kOverlapRatio) step.mask = choose_runs(g, x, query, heads);
  g.push(step);
  turn(g, step.out, heads, heads.count, heads.dim, true);
  return project(g, step.out);
}

Value feed(Graph& g, const Value& x) {
  MoeBlock experts = moe_from_metadata(g, Gating::kSqrtSoftplus, true);
  experts.glu = clamped_before(g, "swiglu_clamp_exp");
  const Glu shared = g.has_key("swiglu_clamp_shexp") ? clamped_before(g, "swiglu_clamp_shexp") : experts.glu;
  const Value out = feed_forward_alone(g, x, shared_width(g), shared, "_shexp");
  routed_experts(g, x, out, experts);
  return out;
}

}  // namespace

Glu clamped_before(Graph& g, const char* key) {
  const float limit = g.layer_real(key, g.layer(), 0);
  if (!(limit > 1e-6f)) return {};
  return {.gate_high = limit, .up_low = -limit, .up_high = limit};
}

void describe_deepseek4(Graph& g) {
  StreamShape shape = {.streams = g.number("hyper_connection.count", 1), .iterations = g.number("hyper_connection.sinkhorn_iterations", 1)};
  shape.eps = g.real("hyper_connection.epsilon", 1e-6f);
  g.require(shape.streams != 0 && shape.streams <= shaders::kMaxStreams, "so many residual streams");
  if (!g.ok()) return;
  const Value streams = split_streams(g, g.embed(), shape.streams);
  const uint32_t layers = g.config().layers, predicting = std::min(layers, g.number("nextn_predict_layers", 0));
  for (uint32_t layer = 0; layer < layers - predicting; ++layer) {
    g.begin_layer(layer);
    const StreamRead attention = read_streams(g, streams, "hc_attn", shape);
    write_streams(g, attention, attend(g, g.norm(attention.x, "attn_norm")), streams, shape);
    const StreamRead network = read_streams(g, streams, "hc_ffn", shape);
    write_streams(g, network, feed(g, g.norm(network.x, "ffn_norm")), streams, shape);
  }
  g.begin_head(streams);
  g.output(g.norm(join_streams(g, streams, shape), "output_norm"));
}

}  // namespace hotset
