// Blocks: parts whose state is a fixed number of floats: gated delta nets, Kimi delta attention, Mamba, short convolutions.
#include <cmath>

#include "runtime/model/blocks.h"

namespace hotset {
namespace {

constexpr Glu kPlain = {.f = Activation::kNone};

// Weights of a convolution, [channels][kernel]; some files keep dimensions of 1 between.
const TensorInfo* conv_weight(Graph& graph, const std::string& part, uint32_t channels, uint32_t kernel) {
  const TensorInfo* tensor = graph.tensor(part);
  if (tensor == nullptr || tensor->dims[0] != kernel || tensor->elements() != uint64_t{channels} * kernel || tensor->type != BlockType::kF32) {
    graph.fail(error(Code::kCorrupt, "the tensor '%s' is missing or is not F32 of %u x %u", graph.name(part).c_str(), kernel, channels));
    return nullptr;
  }
  return graph.use(tensor);
}

// A float vector of `size`, which the file may keep as 1 x size or size / n x n.
const TensorInfo* any_vector(Graph& graph, const std::string& part, uint32_t size) {
  const TensorInfo* tensor = graph.tensor(part);
  if (tensor == nullptr || tensor->elements() != size || tensor->type != BlockType::kF32) {
    graph.fail(error(Code::kCorrupt, "the tensor '%s' is missing or is not F32 of %u values", graph.name(part).c_str(), size));
    return nullptr;
  }
  return graph.use(tensor);
}

Value convolve(Graph& graph, const Value& x, const std::string& part, uint32_t kernel, Activation f) {
  const TensorInfo* weight = conv_weight(graph, part + ".weight", x.width, kernel);
  const Value out = graph.value(x.width);
  graph.push(ConvStep{{x.width, kernel, f}, x, weight, graph.vector_if(part + ".bias", x.width), graph.fixed_state((kernel - 1) * x.width), out});
  return out;
}

// In place: each head divided by its length.
void unit_length(Graph& graph, const Value& x, uint32_t heads) {
  graph.norm_into(x, {.kind = NormKind::kL2, .groups = heads, .cols = x.width / heads, .eps = graph.config().norm_epsilon}, nullptr, nullptr, x);
}

// log decay = a * softplus(x + bias), with a number of `a` for each `group` values. In place.
void decay_of(Graph& graph, const Value& x, const TensorInfo* bias, const TensorInfo* a, uint32_t group) {
  graph.add_vector(x, bias);
  graph.map({.glu = {.f = Activation::kSoftplus}, .a = {.value = x}, .b = {.vector = a, .group = group}, .c = {}, .out = x});
}

void apply(Graph& graph, Activation f, const Value& x) { graph.map({.glu = {.f = f}, .a = {.value = x}, .b = {}, .c = {}, .out = x}); }

// out = norm of each head with ssm_norm, times f(gate).
Value gated_norm(Graph& graph, const Value& x, uint32_t heads, Activation f, const Value& gate) {
  const uint32_t dim = x.width / heads;
  const Value normed = graph.norm(x, {.groups = heads, .cols = dim, .eps = graph.config().norm_epsilon}, graph.vector("ssm_norm.weight", dim));
  graph.map({.glu = {.f = f}, .a = {.value = gate}, .b = {.value = normed}, .c = {}, .out = normed});
  return normed;
}

void fold_copy(Graph& graph, uint32_t fold, const Value& x, const Value& out) {
  graph.map({.glu = kPlain, .a = {.value = x}, .b = {}, .c = {}, .out = out, .fold = fold});
}

struct DeltaNet {
  uint32_t key_heads;
  uint32_t heads;
  uint32_t key_dim;
  uint32_t value_dim;
  uint32_t ratio() const { return heads / key_heads; }
  uint32_t keys() const { return key_heads * key_dim; }
  uint32_t values() const { return heads * value_dim; }
};

struct DeltaInputs {
  Value mixed;  // q, k, v
  Value z;
  Value beta;
  Value decay;
};

// Old files hold q, k, v and z of a key head together (ssm_in).
void split_joined(Graph& graph, const Value& x, const DeltaNet& d, DeltaInputs& in) {
  const uint32_t wide = d.ratio() * d.value_dim;
  const Value joined = graph.linear(x, "ssm_in", 2 * d.keys() + 2 * d.values());
  const Value q = graph.value(d.keys());
  const Value k = graph.value(d.keys());
  const Value v = graph.value(d.values());
  in.z = graph.value(d.values());
  fold_copy(graph, d.key_heads, joined.columns(0, d.key_dim), q.columns(0, d.key_dim));
  fold_copy(graph, d.key_heads, joined.columns(d.key_dim, d.key_dim), k.columns(0, d.key_dim));
  fold_copy(graph, d.key_heads, joined.columns(2 * d.key_dim, wide), v.columns(0, wide));
  fold_copy(graph, d.key_heads, joined.columns(2 * d.key_dim + wide, wide), in.z.columns(0, wide));
  in.mixed = graph.value(2 * d.keys() + d.values());
  graph.copy(q, in.mixed.columns(0, d.keys()));
  graph.copy(k, in.mixed.columns(d.keys(), d.keys()));
  graph.copy(v, in.mixed.columns(2 * d.keys(), d.values()));
}

// beta and alpha of each value head: two products, or one that holds those of a key head together (ssm_ba).
void find_beta_alpha(Graph& graph, const Value& x, const DeltaNet& d, DeltaInputs& in) {
  if (!graph.has("ssm_ba.weight")) {
    const std::vector<Value> two = graph.linear_each(x, {{"ssm_beta", d.heads}, {"ssm_alpha", d.heads}});
    in.beta = two[0];
    in.decay = two[1];
    return;
  }
  const Value both = graph.linear(x, "ssm_ba", 2 * d.heads);
  in.beta = graph.value(d.heads);
  in.decay = graph.value(d.heads);
  fold_copy(graph, d.key_heads, both.columns(0, d.ratio()), in.beta.columns(0, d.ratio()));
  fold_copy(graph, d.key_heads, both.columns(d.ratio(), d.ratio()), in.decay.columns(0, d.ratio()));
}

DeltaInputs delta_inputs(Graph& graph, const Value& x, const DeltaNet& d) {
  DeltaInputs in;
  if (graph.has("ssm_in.weight")) {
    split_joined(graph, x, d, in);
  } else {
    const std::vector<Value> two = graph.linear_each(x, {{"attn_qkv", 2 * d.keys() + d.values()}, {"attn_gate", d.values()}});
    in.mixed = two[0];
    in.z = two[1];
  }
  find_beta_alpha(graph, x, d, in);
  return in;
}

}  // namespace

Value gated_delta_net(Graph& graph, const Value& x, bool tiled_heads, Activation gate) {
  DeltaNet d;
  d.key_heads = std::max(1u, graph.number("ssm.group_count", 0));
  d.heads = std::max(1u, graph.number("ssm.time_step_rank", 0));
  d.key_dim = graph.number("ssm.state_size", 0);
  d.value_dim = graph.number("ssm.inner_size", 0) / d.heads;
  graph.require(d.heads % d.key_heads == 0 && d.key_dim != 0 && d.value_dim != 0, "these sizes of a gated delta net");
  if (!graph.ok()) return graph.value(x.width);
  const DeltaInputs in = delta_inputs(graph, x, d);
  apply(graph, Activation::kSigmoid, in.beta);
  decay_of(graph, in.decay, graph.vector("ssm_dt.bias", d.heads), any_vector(graph, "ssm_a", d.heads), 1);
  const Value mixed = convolve(graph, in.mixed, "ssm_conv1d", graph.number("ssm.conv_kernel", 4), Activation::kSilu);
  const Value q = mixed.columns(0, d.keys());
  const Value k = mixed.columns(d.keys(), d.keys());
  unit_length(graph, q, d.key_heads);
  unit_length(graph, k, d.key_heads);
  LinearAttentionStep step = {.q = q, .k = k, .v = mixed.columns(2 * d.keys(), d.values()), .decay = in.decay, .beta = in.beta, .out = graph.value(d.values())};
  step.shape = {d.heads, d.key_heads, tiled_heads, d.key_dim, d.value_dim, Decay::kHead, true, 1 / std::sqrt(static_cast<float>(d.key_dim))};
  step.state = graph.fixed_state(d.heads * d.key_dim * d.value_dim);
  graph.push(step);
  return gated_norm(graph, step.out, d.heads, gate, in.z);
}

namespace {

// The log decay of each channel of Kimi delta attention.
Value kda_decay(Graph& graph, const Value& x, uint32_t heads, uint32_t dim, bool a_is_negative) {
  const uint32_t width = heads * dim;
  const Value decay = graph.has("ssm_f_b.weight") ? graph.linear(graph.linear(x, "ssm_f_a", dim), "ssm_f_b", width) : graph.linear(x, "ssm_f_a", width);
  const TensorInfo* bias = graph.vector("ssm_dt.bias", width);
  const TensorInfo* a = any_vector(graph, "ssm_a", heads);
  const float lower_bound = graph.real("kda.gate_lower_bound", 0);
  if (lower_bound == 0) {
    decay_of(graph, decay, bias, a, dim);
    return decay;
  }
  graph.add_vector(decay, bias);
  graph.multiply_by(decay, {.vector = a, .group = dim});
  graph.map({.glu = {.f = Activation::kSigmoid, .alpha = a_is_negative ? -1.0f : 1.0f}, .scale = lower_bound, .a = {.value = decay}, .b = {}, .c = {}, .out = decay});
  return decay;
}

Value kda_gate(Graph& graph, const Value& x, uint32_t dim, uint32_t width) {
  if (graph.has("ssm_g_b.weight")) return graph.linear(graph.linear(x, "ssm_g_a", dim), "ssm_g_b", width);
  for (const char* part : {"ssm_g", "attn_gate"}) {
    if (graph.has(std::string(part) + ".weight")) return graph.linear(x, part, width);
  }
  return graph.linear(x, "ssm_g_a", width);
}

}  // namespace

Value kimi_delta_attention(Graph& graph, const Value& x, bool a_is_negative) {
  const uint32_t heads = graph.config().layer_heads[graph.layer()];
  const uint32_t dim = graph.number("kda.head_dim", 128);
  const uint32_t width = heads * dim;
  const uint32_t kernel = graph.number("ssm.conv_kernel", 4);
  const std::vector<Value> qkv = graph.linear_each(x, {{"attn_q", width}, {"attn_k", width}, {"attn_v", width}});
  const Value q = convolve(graph, qkv[0], "ssm_conv1d_q", kernel, Activation::kSilu);
  const Value k = convolve(graph, qkv[1], "ssm_conv1d_k", kernel, Activation::kSilu);
  const Value v = convolve(graph, qkv[2], "ssm_conv1d_v", kernel, Activation::kSilu);
  unit_length(graph, q, heads);
  unit_length(graph, k, heads);
  const Value decay = kda_decay(graph, x, heads, dim, a_is_negative);
  const Value beta = graph.linear(x, "ssm_beta", heads);
  apply(graph, Activation::kSigmoid, beta);
  LinearAttentionStep step = {.q = q, .k = k, .v = v, .decay = decay, .beta = beta, .out = graph.value(width)};
  step.shape = {heads, heads, false, dim, dim, Decay::kChannel, true, 1 / std::sqrt(static_cast<float>(dim))};
  step.state = graph.fixed_state(heads * dim * dim);
  graph.push(step);
  return gated_norm(graph, step.out, heads, Activation::kSigmoid, kda_gate(graph, x, dim, width));
}

Value mamba2(Graph& graph, const Value& x) {
  const uint32_t inner = graph.number("ssm.inner_size", 0);
  const uint32_t heads = std::max(1u, graph.number("ssm.time_step_rank", 0));
  const uint32_t groups = std::max(1u, graph.number("ssm.group_count", 0));
  const uint32_t state = graph.number("ssm.state_size", 0);
  graph.require(inner != 0 && inner % heads == 0 && inner % groups == 0 && heads % groups == 0 && state != 0, "these sizes of Mamba-2");
  if (!graph.ok()) return graph.value(x.width);
  const uint32_t mixed_width = inner + 2 * groups * state;
  const Value in = graph.linear(x, "ssm_in", inner + mixed_width + heads);
  const Value z = in.columns(0, inner);
  const Value dt = in.columns(inner + mixed_width, heads);
  const Value mixed = convolve(graph, graph.whole(in.columns(inner, mixed_width)), "ssm_conv1d", graph.number("ssm.conv_kernel", 4), Activation::kSilu);
  const Value v = mixed.columns(0, inner);
  graph.add_vector(dt, any_vector(graph, "ssm_dt.bias", heads));
  apply(graph, Activation::kSoftplus, dt);
  const Value decay = graph.value(heads);
  graph.map({.glu = kPlain, .a = {.value = dt}, .b = {.vector = any_vector(graph, "ssm_a", heads)}, .c = {}, .out = decay});
  const uint32_t dim = inner / heads;
  LinearAttentionStep step = {.q = mixed.columns(inner + groups * state, groups * state), .k = mixed.columns(inner, groups * state), .v = v, .decay = decay,
                              .beta = dt, .out = graph.value(inner)};
  step.shape = {heads, groups, false, state, dim, Decay::kHead, false, 1};
  step.state = graph.fixed_state(heads * state * dim);
  graph.push(step);
  const TensorInfo* d = any_vector(graph, "ssm_d", heads);
  graph.map({.glu = kPlain, .a = {.value = v}, .b = {.vector = d, .group = dim}, .c = {.value = step.out}, .out = step.out});
  graph.map({.glu = {.f = Activation::kSilu}, .a = {.value = z}, .b = {.value = step.out}, .c = {}, .out = step.out});
  if (graph.has("ssm_norm.weight")) {
    const NormShape shape = {.groups = groups, .cols = inner / groups, .weight_stride = inner / groups, .eps = graph.config().norm_epsilon};
    graph.norm_into(step.out, shape, any_vector(graph, "ssm_norm.weight", inner), nullptr, step.out);
  }
  return step.out;
}

Value mamba1(Graph& graph, const Value& x) {
  const uint32_t inner = graph.number("ssm.inner_size", 0);
  const uint32_t state = graph.number("ssm.state_size", 0);
  const uint32_t rank = graph.number("ssm.time_step_rank", 0);
  graph.require(inner != 0 && state != 0 && rank != 0, "these sizes of Mamba");
  if (!graph.ok()) return graph.value(x.width);
  const Value in = graph.linear(x, "ssm_in", 2 * inner);
  const Value conv = convolve(graph, graph.whole(in.columns(0, inner)), "ssm_conv1d", graph.number("ssm.conv_kernel", 4), Activation::kSilu);
  const Value all = graph.linear(conv, "ssm_x", rank + 2 * state);
  const Value parts[] = {all.columns(0, rank), all.columns(rank, state), all.columns(rank + state, state)};
  const char* norms[] = {"ssm_dt_norm.weight", "ssm_b_norm.weight", "ssm_c_norm.weight"};
  for (uint32_t i = 0; i < 3; ++i) {
    if (!graph.has(norms[i])) continue;
    graph.norm_into(parts[i], {.cols = parts[i].width, .eps = graph.config().norm_epsilon}, graph.vector(norms[i], parts[i].width), nullptr, parts[i]);
  }
  const Value dt = graph.linear(parts[0], "ssm_dt", inner);
  apply(graph, Activation::kSoftplus, dt);
  SelectiveScanStep step = {.shape = {inner, state}, .x = conv, .dt = dt, .b = parts[1], .c = parts[2], .out = graph.value(inner)};
  step.a = any_vector(graph, "ssm_a", inner * state);
  step.d = graph.vector("ssm_d", inner);
  step.state = graph.fixed_state(inner * state);
  graph.push(step);
  graph.map({.glu = {.f = Activation::kSilu}, .a = {.value = in.columns(inner, inner)}, .b = {.value = step.out}, .c = {}, .out = step.out});
  return step.out;
}

Value short_convolution(Graph& graph, const Value& x, uint32_t kernel) {
  const Value in = graph.linear(x, "shortconv.in_proj", 3 * x.width);
  const Value b = in.columns(0, x.width);
  const Value c = in.columns(x.width, x.width);
  const Value gated = graph.product(b, in.columns(2 * x.width, x.width));
  const Value out = convolve(graph, gated, "shortconv.conv", kernel, Activation::kNone);
  graph.multiply_by(out, {.value = c});
  return out;
}

Value lightning_attention(Graph& graph, const Value& x, float slope_scale) {
  const uint32_t heads = graph.config().layer_heads[graph.layer()];
  const uint32_t dim = graph.config().key_length;
  const uint32_t width = heads * dim;
  const Value qkv = graph.linear(x, "attn_qkv", 3 * width);
  apply(graph, Activation::kSilu, qkv);
  Value parts[3];
  for (uint32_t i = 0; i < 3; ++i) {
    parts[i] = graph.value(width);
    fold_copy(graph, heads, qkv.columns(i * dim, dim), parts[i].columns(0, dim));
  }
  // Slopes as those of ALiBi (Press et al. 2022): powers of 2^(-8 / heads).
  std::vector<float> decay(heads);
  for (uint32_t h = 0; h < heads; ++h) decay[h] = -slope_scale * std::pow(std::pow(2.0f, -8.0f / static_cast<float>(heads)), static_cast<float>(h + 1));
  LinearAttentionStep step = {.q = parts[0], .k = parts[1], .v = parts[2], .decay = {}, .beta = {}, .out = graph.value(width)};
  step.shape = {heads, heads, false, dim, dim, Decay::kConstant, false, 1};
  step.constant_decay = graph.constant(decay);
  step.state = graph.fixed_state(heads * dim * dim);
  graph.push(step);
  const Value normed = graph.norm(step.out, {.cols = width, .eps = graph.config().norm_epsilon}, graph.vector("attn_norm_2.weight", width));
  const Value gate = graph.linear(x, "attn_gate", width);
  graph.map({.glu = {.f = Activation::kSigmoid}, .a = {.value = gate}, .b = {.value = normed}, .c = {}, .out = normed});
  return normed;
}

}  // namespace hotset
