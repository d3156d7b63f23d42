// Blocks: rotation, windows, grouped-query attention.
#include <algorithm>
#include <cmath>

#include "runtime/model/blocks.h"

namespace hotset {
namespace {

struct Qkv {
  Value q;
  Value k;
  Value v;
  Value gate;  // of the output, where the query's projection gives it
};

constexpr Glu kPlain = {.f = Activation::kNone};

Qkv project_gated(Graph& graph, const Value& x, const AttentionBlock& b) {
  const uint32_t rows = b.heads * b.head_dim;
  const std::vector<Value> three = graph.linear_each(x, {{"attn_q", 2 * rows}, {"attn_k", b.kv_heads * b.head_dim}, {"attn_v", b.kv_heads * b.value_dim}});
  const Qkv out = {graph.value(rows), three[1], three[2], graph.value(rows)};
  const Value both = three[0];
  graph.map({.glu = kPlain, .a = {.value = both.columns(0, b.head_dim)}, .b = {}, .c = {}, .out = out.q.columns(0, b.head_dim), .fold = b.heads});
  graph.map({.glu = kPlain, .a = {.value = both.columns(b.head_dim, b.head_dim)}, .b = {}, .c = {}, .out = out.gate.columns(0, b.head_dim), .fold = b.heads});
  return out;
}

Qkv project(Graph& graph, const Value& x, const AttentionBlock& b) {
  if (b.gate == OutputGate::kInQuery) return project_gated(graph, x, b);
  const uint32_t q_rows = b.heads * b.head_dim;
  const uint32_t k_rows = b.kv_heads * b.head_dim;
  const uint32_t v_rows = b.kv_heads * b.value_dim;
  if (graph.has("attn_qkv.weight")) {
    const MatrixSpec all = graph.matrix("attn_qkv.weight", q_rows + k_rows + v_rows, x.width);
    const Qkv out = {graph.value(q_rows), graph.value(k_rows), graph.value(v_rows), {}};
    graph.push(MatmulStep{{{{all.tensor, 0, q_rows, x.width}, out.q},
                           {{all.tensor, q_rows, k_rows, x.width}, out.k},
                           {{all.tensor, q_rows + k_rows, v_rows, x.width}, out.v}},
                          graph.whole(x),
                          {}});
    if (const TensorInfo* bias = graph.vector_if("attn_qkv.bias", q_rows + k_rows + v_rows)) {
      uint32_t first = 0;
      for (const Value& part : {out.q, out.k, out.v}) {
        graph.map({.glu = {.f = Activation::kNone}, .a = {.value = part}, .b = {}, .c = {.vector = bias, .vector_first = first}, .out = part});
        first += part.width;
      }
    }
    return out;
  }
  if (b.may_lack_values && !graph.has("attn_v.weight")) {
    const std::vector<Value> two = graph.linear_each(x, {{"attn_q", q_rows}, {"attn_k", k_rows}});
    const Value v = graph.value(k_rows);
    graph.copy(two[1], v);
    return {two[0], two[1], v, {}};
  }
  const std::vector<Value> three = graph.linear_each(x, {{"attn_q", q_rows}, {"attn_k", k_rows}, {"attn_v", v_rows}});
  return {three[0], three[1], three[2], {}};
}

void clamp(Graph& graph, const Value& x, float limit) {
  graph.map({.glu = {.f = Activation::kNone, .gate_low = -limit, .gate_high = limit}, .a = {.value = x}, .b = {}, .c = {}, .out = x});
}

enum class NormForm { kNone, kHead, kWhole };

// How the file norms q or k: heads, with weights that they share, or the whole vector.
NormForm norm_form(Graph& graph, const std::string& part, uint32_t heads, uint32_t head_dim, bool unit) {
  const TensorInfo* weight = graph.tensor(part + ".weight");
  if (weight == nullptr) return unit ? NormForm::kHead : NormForm::kNone;
  return weight->n_dims == 1 && weight->elements() == uint64_t{heads} * head_dim && heads != 1 ? NormForm::kWhole : NormForm::kHead;
}

void norm_heads(Graph& graph, const std::string& part, const Value& x, uint32_t heads, uint32_t head_dim, NormForm form) {
  if (form == NormForm::kNone) return;
  NormShape shape;
  shape.kind = graph.config().rms_norm ? NormKind::kRms : NormKind::kLayer;
  shape.eps = graph.config().norm_epsilon;
  shape.groups = form == NormForm::kWhole ? 1 : heads;
  shape.cols = form == NormForm::kWhole ? heads * head_dim : head_dim;
  graph.norm_into(x, shape, graph.vector_if(part + ".weight", shape.cols), graph.vector_if(part + ".bias", shape.cols), x);
}

AttentionShape shape_of(const Graph& graph, const AttentionBlock& b) {
  AttentionShape shape;
  shape.heads = b.heads;
  shape.kv_heads = b.kv_heads;
  shape.head_dim = b.head_dim;
  shape.value_dim = b.value_dim;
  shape.rope_dim = b.rope_dim;
  shape.adjacent_pairs = b.adjacent_pairs;
  shape.norm_eps = graph.config().norm_epsilon;
  shape.scale = b.scale;
  shape.window = b.window;
  shape.chunk = b.chunk;
  shape.softcap = b.softcap;
  return shape;
}

// One operation does norm, rotation and caching where the norms are of heads and come first.
bool can_fuse(const Graph& graph, const AttentionBlock& b, NormForm q_norm, NormForm k_norm) {
  const auto plain = [&](const char* part, NormForm form) {
    if (form != NormForm::kHead) return true;
    const TensorInfo* weight = graph.tensor(std::string(part) + ".weight");
    return weight != nullptr && !graph.has(std::string(part) + ".bias");
  };
  const bool norms_first = !b.norm_after_rope || (q_norm == NormForm::kNone && k_norm == NormForm::kNone);
  return norms_first && graph.config().rms_norm && plain("attn_q_norm", q_norm) && plain("attn_k_norm", k_norm);
}

void store_fused(Graph& graph, const Qkv& qkv, const AttentionBlock& b, NormForm q_norm, NormForm k_norm, StateId keys, StateId values) {
  if (q_norm == NormForm::kWhole) norm_heads(graph, "attn_q_norm", qkv.q, b.heads, b.head_dim, q_norm);
  if (k_norm == NormForm::kWhole) norm_heads(graph, "attn_k_norm", qkv.k, b.kv_heads, b.head_dim, k_norm);
  StoreKvStep step = {.shape = shape_of(graph, b), .q = qkv.q, .k = qkv.k, .v = qkv.v, .table = b.rope_table, .keys = keys, .values = values};
  if (q_norm == NormForm::kHead) step.q_norm = graph.vector("attn_q_norm.weight", b.head_dim);
  if (k_norm == NormForm::kHead) step.k_norm = graph.vector("attn_k_norm.weight", b.head_dim);
  graph.push(step);
}

void store_in_parts(Graph& graph, const Qkv& qkv, const AttentionBlock& b, NormForm q_norm, NormForm k_norm, StateId keys, StateId values) {
  const auto norms = [&] {
    norm_heads(graph, "attn_q_norm", qkv.q, b.heads, b.head_dim, q_norm);
    norm_heads(graph, "attn_k_norm", qkv.k, b.kv_heads, b.head_dim, k_norm);
  };
  if (!b.norm_after_rope) norms();
  RopeShape rope = {.heads = b.heads, .head_stride = b.head_dim, .dim = b.rope_dim, .adjacent_pairs = b.adjacent_pairs};
  graph.rope(rope, qkv.q, b.rope_table);
  rope.heads = b.kv_heads;
  graph.rope(rope, qkv.k, b.rope_table);
  if (b.norm_after_rope) norms();
  graph.push(StoreRowsStep{qkv.k, keys});
  graph.push(StoreRowsStep{qkv.v, values});
}

void gate_output(Graph& graph, const Value& x, const Value& in_query, const Value& attended, const AttentionBlock& b) {
  if (b.gate == OutputGate::kNone) return;
  if (in_query.exists()) {
    graph.map({.glu = {.f = b.gate_function}, .a = {.value = in_query}, .b = {.value = attended}, .c = {}, .out = attended});
    return;
  }
  const TensorInfo* tensor = graph.tensor("attn_gate.weight");
  const bool by_head = b.gate == OutputGate::kHead || (b.gate == OutputGate::kByTensor && tensor != nullptr && tensor->dims[1] == b.heads);
  const Value gate = graph.linear(x, "attn_gate", by_head ? b.heads : b.heads * b.value_dim);
  graph.map({.glu = {.f = b.gate_function}, .a = {.value = gate}, .b = {}, .c = {}, .out = gate});
  graph.multiply_by(attended, {.value = gate, .group = by_head ? b.value_dim : 1});
}

}  // namespace

RopeSpec rope_from_metadata(Graph& graph, uint32_t dim) { return rope_from_metadata(graph, dim, graph.config().rope_base); }

RopeSpec rope_from_metadata(Graph& graph, uint32_t dim, float base) {
  RopeSpec rope;
  rope.dim = dim;
  rope.base = base;
  rope.linear_factor = graph.config().rope_position_scale;
  rope.original_context = graph.number("rope.scaling.original_context_length", graph.config().context_length);
  rope.magnitude = graph.real("rope.scaling.attn_factor", 1);
  if (graph.config().rope_yarn) {
    rope.yarn = 1;
    rope.beta_fast = graph.real("rope.scaling.yarn_beta_fast", 32);
    rope.beta_slow = graph.real("rope.scaling.yarn_beta_slow", 1);
    // With a multiplier (stored times 0.1) the softmax is scaled as well, by the family.
    const float spread = std::log(rope.linear_factor);
    rope.magnitude *= (1 + 0.1f * spread) / (1 + graph.real("rope.scaling.yarn_log_multiplier", 0) * spread);
  }
  if (graph.file().find_tensor("rope_freqs.weight") != nullptr) rope.factors = graph.floats(graph.file().find_tensor("rope_freqs.weight"));
  if (graph.file().find_tensor("rope_factors_short.weight") != nullptr) {
    rope.factors = graph.floats(graph.file().find_tensor("rope_factors_short.weight"));
    rope.long_factors = graph.floats(graph.file().find_tensor("rope_factors_long.weight"));
  }
  for (const std::vector<float>* factors : {&rope.factors, &rope.long_factors}) {
    if (factors->empty() || factors->size() >= dim / 2) continue;
    graph.fail(error(Code::kCorrupt, "%zu rotation factors are too few for %u dimensions", factors->size(), dim));
  }
  return rope;
}

bool slides(Graph& graph, uint32_t layer, uint32_t period, bool dense_first) {
  if (graph.config().sliding_window == 0) return false;
  if (graph.has_key("attention.sliding_window_pattern")) {
    const GgufValue* value = graph.file().find(graph.config().architecture + ".attention.sliding_window_pattern");
    if (value->is_array()) {
      const std::vector<int64_t> pattern = graph.numbers("attention.sliding_window_pattern");
      return layer < pattern.size() && pattern[layer] != 0;
    }
    period = graph.number("attention.sliding_window_pattern", period);
  }
  if (period == 0) return false;
  return dense_first ? layer % period != 0 : layer % period < period - 1;
}

AttentionBlock attention_from_metadata(Graph& graph) {
  const ModelConfig& config = graph.config();
  AttentionBlock block;
  block.heads = config.layer_heads[graph.layer()];
  block.kv_heads = config.layer_kv_heads[graph.layer()];
  block.head_dim = config.key_length;
  block.value_dim = config.value_length;
  block.scale = 1.0f / std::sqrt(static_cast<float>(config.key_length));
  block.rope_dim = config.rope_dimensions;
  block.rope_table = graph.rope_table(rope_from_metadata(graph, config.rope_dimensions));
  return block;
}

Value grouped_attention(Graph& graph, const Value& x, const AttentionBlock& block) {
  graph.require(block.kv_heads != 0 && block.heads % block.kv_heads == 0, "attention without key/value heads");
  const Qkv qkv = project(graph, x, block);
  if (block.clamp_qkv > 0) {
    for (const Value& part : {qkv.q, qkv.k, qkv.v}) clamp(graph, part, block.clamp_qkv);
  }
  graph.scale(qkv.v, block.value_scale);
  if (block.norm_values) {
    graph.norm_into(qkv.v, {.groups = block.kv_heads, .cols = block.value_dim, .eps = graph.config().norm_epsilon}, nullptr, nullptr, qkv.v);
  }
  const StateId keys = graph.cache(block.kv_heads * block.head_dim);
  const StateId values = graph.cache(block.kv_heads * block.value_dim);
  const NormForm q_norm = norm_form(graph, "attn_q_norm", block.heads, block.head_dim, block.unit_norms);
  const NormForm k_norm = norm_form(graph, "attn_k_norm", block.kv_heads, block.head_dim, block.unit_norms);
  const auto store = can_fuse(graph, block, q_norm, k_norm) ? store_fused : store_in_parts;
  store(graph, qkv, block, q_norm, k_norm, keys, values);
  if (block.position_scale != Value::kNone) graph.multiply_by(qkv.q, {.position_scale = block.position_scale, .period = 1});
  AttendStep attend = {.shape = shape_of(graph, block), .q = qkv.q, .keys = keys, .values = values, .mask = block.mask,
                       .out = graph.value(block.heads * block.value_dim)};
  attend.sinks = graph.vector_if("attn_sinks.weight", block.heads);
  graph.push(attend);
  gate_output(graph, x, qkv.gate, attend.out, block);
  return attend.out;
}

}  // namespace hotset
