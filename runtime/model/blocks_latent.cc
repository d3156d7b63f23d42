// Blocks: latent attention.
#include <cmath>

#include "runtime/model/blocks.h"

namespace hotset {
namespace {

constexpr Glu kPlain = {.f = Activation::kNone};

AttentionShape shape_of(const LatentBlock& b, uint32_t kv_heads, uint32_t head_dim, uint32_t value_dim) {
  AttentionShape shape;
  shape.heads = b.heads;
  shape.kv_heads = kv_heads;
  shape.head_dim = head_dim;
  shape.value_dim = value_dim;
  shape.scale = b.scale;
  shape.window = b.window;
  return shape;
}

// Columns `from` of each head's row in x to columns `to` of each head's row in out.
void copy_heads(Graph& graph, uint32_t heads, const Value& x, uint32_t from, const Value& out, uint32_t to, uint32_t count) {
  graph.map({.glu = kPlain, .a = {.value = x.columns(from, count)}, .b = {}, .c = {}, .out = out.columns(to, count), .fold = heads});
}

void scale_query(Graph& graph, const Value& q, const LatentBlock& b) {
  if (b.position_scale != Value::kNone) graph.multiply_by(q, {.position_scale = b.position_scale, .period = 1});
}

// Queries meet the latent vectors themselves: one key head, whose values are the first dims of the keys.
Value attend_absorbed(Graph& graph, const Value& q, const Value& kv, const LatentBlock& b) {
  const uint32_t head_dim = b.plain_dim + b.rope_dim;
  const uint32_t wide = b.latent + b.rope_dim;
  const Value absorbed = graph.value(b.heads * wide);
  const HeadsShape keys = {.heads = b.heads, .rows = b.latent, .cols = b.plain_dim, .x_head_stride = head_dim, .out_head_stride = wide};
  graph.heads_into(keys, graph.matrices("attn_k_b.weight", b.heads, b.latent, b.plain_dim), q, absorbed);
  copy_heads(graph, b.heads, q, b.plain_dim, absorbed, b.latent, b.rope_dim);
  scale_query(graph, absorbed, b);
  const StateId cache = graph.cache(wide);
  graph.push(StoreRowsStep{kv, cache});
  AttendStep attend = {.shape = shape_of(b, 1, wide, b.latent), .q = absorbed, .keys = cache, .values = cache, .mask = b.mask, .out = graph.value(b.heads * b.latent)};
  attend.shape.key_stride = attend.shape.value_stride = wide;
  attend.sinks = graph.vector_if("attn_sinks.weight", b.heads);
  graph.push(attend);
  const HeadsShape values = {.heads = b.heads, .rows = b.value_dim, .cols = b.latent, .x_head_stride = b.latent, .out_head_stride = b.value_dim};
  return graph.heads(values, graph.matrices("attn_v_b.weight", b.heads, b.value_dim, b.latent), attend.out);
}

// Old files have keys and values of all heads in one matrix (attn_kv_b): each token's are made once and cached.
Value attend_expanded(Graph& graph, const Value& q, const Value& kv, const LatentBlock& b) {
  const uint32_t head_dim = b.plain_dim + b.rope_dim;
  const Value both = graph.linear(kv.columns(0, b.latent), "attn_kv_b", b.heads * (b.plain_dim + b.value_dim));
  const Value k = graph.value(b.heads * head_dim);
  const Value v = graph.value(b.heads * b.value_dim);
  copy_heads(graph, b.heads, both, 0, k, 0, b.plain_dim);
  for (uint32_t head = 0; head < b.heads; ++head) {
    graph.copy(kv.columns(b.latent, b.rope_dim), k.columns(head * head_dim + b.plain_dim, b.rope_dim));
  }
  copy_heads(graph, b.heads, both, b.plain_dim, v, 0, b.value_dim);
  scale_query(graph, q, b);
  const StateId keys = graph.cache(k.width);
  const StateId values = graph.cache(v.width);
  graph.push(StoreRowsStep{k, keys});
  graph.push(StoreRowsStep{v, values});
  const AttendStep attend = {.shape = shape_of(b, b.heads, head_dim, b.value_dim), .q = q, .keys = keys, .values = values, .mask = b.mask,
                             .out = graph.value(b.heads * b.value_dim)};
  graph.push(attend);
  return attend.out;
}

}  // namespace

LatentBlock latent_from_metadata(Graph& graph) {
  LatentBlock b;
  b.heads = graph.config().layer_heads[graph.layer()];
  b.rope_dim = graph.number("rope.dimension_count", 0);
  const uint32_t head_dim = graph.number("attention.key_length_mla", graph.config().key_length);
  graph.require(head_dim > b.rope_dim && b.rope_dim != 0, "these sizes of latent attention");
  b.plain_dim = head_dim > b.rope_dim ? head_dim - b.rope_dim : 1;
  b.value_dim = graph.number("attention.value_length_mla", graph.config().value_length);
  b.latent = graph.number("attention.kv_lora_rank", 0);
  b.query_latent = graph.has("attn_q_a.weight") ? graph.number("attention.q_lora_rank", 0) : 0;
  RopeSpec rope = rope_from_metadata(graph, b.rope_dim);
  float mscale = 1;
  if (graph.config().rope_yarn) {
    rope.magnitude = graph.real("rope.scaling.attn_factor", 1);
    mscale = 1 + graph.real("rope.scaling.yarn_log_multiplier", 0) * std::log(rope.linear_factor);
  }
  b.scale = mscale * mscale / std::sqrt(static_cast<float>(head_dim));
  b.rope_table = graph.rope_table(rope);
  return b;
}

Value latent_query(Graph& graph, const Value& x, const LatentBlock& block) {
  if (block.query_latent == 0) return {};
  return graph.norm(graph.linear(x, "attn_q_a", block.query_latent), "attn_q_a_norm");
}

Value latent_attention(Graph& graph, const Value& x, const Value& query, const LatentBlock& b) {
  const uint32_t head_dim = b.plain_dim + b.rope_dim;
  const Value q = query.exists() ? graph.linear(query, "attn_q_b", b.heads * head_dim) : graph.linear(x, "attn_q", b.heads * head_dim);
  const Value kv = graph.linear(x, "attn_kv_a_mqa", b.latent + b.rope_dim);
  const NormShape norm = {.cols = b.latent, .eps = graph.config().norm_epsilon};
  graph.norm_into(kv.columns(0, b.latent), norm, graph.vector("attn_kv_a_norm.weight", b.latent), nullptr, kv.columns(0, b.latent));
  if (const TensorInfo* weight = graph.vector_if("attn_k_norm.weight", b.rope_dim)) {
    const Value turning = kv.columns(b.latent, b.rope_dim);
    graph.norm_into(turning, {.cols = b.rope_dim, .eps = norm.eps}, weight, nullptr, turning);
  }
  if (b.rotates) {
    graph.rope({.heads = b.heads, .head_stride = head_dim, .first = b.plain_dim, .dim = b.rope_dim, .adjacent_pairs = b.adjacent_pairs}, q, b.rope_table);
    graph.rope({.heads = 1, .head_stride = kv.width, .first = b.latent, .dim = b.rope_dim, .adjacent_pairs = b.adjacent_pairs}, kv, b.rope_table);
  }
  const Value out = graph.has("attn_k_b.weight") ? attend_absorbed(graph, q, kv, b) : attend_expanded(graph, q, kv, b);
  if (b.gate == OutputGate::kNone) return out;
  const bool by_head = b.gate == OutputGate::kHead;
  const Value gate = graph.activate(Activation::kSigmoid, graph.linear(x, "attn_gate", by_head ? b.heads : b.heads * b.value_dim));
  graph.multiply_by(out, {.value = gate, .group = by_head ? b.value_dim : 1});
  return out;
}

}  // namespace hotset
