// Families that norm what a part gives before it is added: AFMoE (Trinity), Grok, Gemma 4.
#include <cmath>

#include "runtime/model/families/families.h"

namespace hotset {
namespace {

void add_normed(Graph& g, const Value& part, const char* norm, const Value& x) { g.add(g.norm(part, norm), x); }

Value attention_output(Graph& g, const Value& x, const AttentionBlock& attention) {
  return g.linear(grouped_attention(g, g.norm(x, "attn_norm"), attention), "attn_output", x.width);
}

Value zeros(Graph& g, uint32_t width) {
  const Value out = g.value(width);
  g.fill_zero(out);
  return out;
}

}  // namespace

// Embedding times sqrt(width); rotation on sliding layers only; attention output times sigmoid(gate).
void describe_afmoe(Graph& graph) {
  const DecoderBlock block = {.embedding_scale = std::sqrt(static_cast<float>(graph.config().embedding))};
  decoder(graph, block, [](Graph& g, uint32_t layer, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    attention.gate = OutputGate::kChannel;
    if (slides(g, layer, 4)) attention.window = g.config().sliding_window;
    else attention.rope_dim = 0;
    add_normed(g, attention_output(g, x, attention), "post_attention_norm", x);
    const Value out = zeros(g, x.width);
    experts_or_dense(g, g.norm(x, "ffn_norm"), out, moe_from_metadata(g, Gating::kSigmoid, true));
    add_normed(g, out, "post_ffw_norm", x);
  });
}

// Softcapped attention scores; GELU; an optional dense network beside the experts, both halved in power.
void describe_grok(Graph& graph) {
  const DecoderBlock block = {.embedding_scale = graph.real("embedding_scale", 78.38367176906169f),
                              .logit_scale = graph.real("logit_scale", 0.5773502691896257f),
                              .logit_softcap = graph.real("final_logit_softcapping", 0)};
  decoder(graph, block, [](Graph& g, uint32_t, const Value& x) {
    constexpr Glu kGeluGlu = {.f = Activation::kGelu};
    AttentionBlock attention = attention_from_metadata(g);
    attention.scale = g.real("attention.output_scale", 0.08838834764831845f);
    attention.softcap = g.real("attn_logit_softcapping", 30);
    add_normed(g, attention_output(g, x, attention), "attn_output_norm", x);
    const Value normed = g.norm(x, "ffn_norm");
    const Value out = zeros(g, x.width);
    const bool has_dense = g.has("ffn_up.weight");
    if (has_dense) feed_forward(g, normed, out, g.config().layer_feed_forward[g.layer()], kGeluGlu);
    MoeBlock experts = moe_from_metadata(g, Gating::kSoftmax, true);
    experts.glu = kGeluGlu;
    routed_experts(g, normed, out, experts);
    if (has_dense) g.scale(out, std::sqrt(0.5f));
    add_normed(g, out, g.has("layer_output_norm.weight") ? "layer_output_norm" : "post_ffw_norm", x);
  });
}

namespace {

AttentionBlock gemma4_attention(Graph& g, bool sliding) {
  AttentionBlock attention = attention_from_metadata(g);
  attention.scale = 1;
  attention.unit_norms = true;
  attention.norm_values = true;
  attention.may_lack_values = true;
  if (sliding) {
    attention.window = g.config().sliding_window;
    attention.head_dim = g.number("attention.key_length_swa", attention.head_dim);
    attention.value_dim = g.number("attention.value_length_swa", attention.value_dim);
    attention.rope_dim = g.number("rope.dimension_count_swa", attention.head_dim);
    RopeSpec rope = rope_from_metadata(g, attention.rope_dim, g.real("rope.freq_base_swa", g.config().rope_base));
    rope.factors.clear();
    attention.rope_table = g.rope_table(rope);
  }
  return attention;
}

// The router reads the residual, normed without weights, divided by sqrt(width), times ffn_gate_inp.scale.
Value gemma4_router_input(Graph& g, const Value& x) {
  const NormShape unit = {.cols = x.width, .eps = g.config().norm_epsilon};
  const Value out = g.norm(x, unit, nullptr);
  g.map({.glu = {.f = Activation::kNone}, .scale = 1 / std::sqrt(static_cast<float>(x.width)), .a = {.value = out},
         .b = {.vector = g.vector("ffn_gate_inp.scale", x.width)}, .c = {}, .out = out});
  return out;
}

void gemma4_feed_forward(Graph& g, const Value& x) {
  constexpr Glu kGeluGlu = {.f = Activation::kGelu};
  const Value dense = feed_forward_alone(g, g.norm(x, "ffn_norm"), g.config().layer_feed_forward[g.layer()], kGeluGlu);
  if (!g.has("ffn_gate_inp.weight")) {
    add_normed(g, dense, "post_ffw_norm", x);
    return;
  }
  MoeBlock experts = moe_from_metadata(g, Gating::kSoftmax, true);
  experts.glu = kGeluGlu;
  experts.router_input = gemma4_router_input(g, x);
  const Value out = zeros(g, x.width);
  routed_experts(g, g.norm(x, "pre_ffw_norm_2"), out, experts);
  const Value both = g.sum(g.norm(dense, "post_ffw_norm_1"), g.norm(out, "post_ffw_norm_2"));
  add_normed(g, both, "post_ffw_norm", x);
}

}  // namespace

// Sliding and full layers with different heads; values are normed without weights; dense network and experts in parallel.
void describe_gemma4(Graph& graph) {
  graph.require(graph.number("embedding_length_per_layer_input", 0) == 0, "embeddings of single layers");
  graph.require(graph.number("attention.shared_kv_layers", 0) == 0, "layers that share a KV cache");
  const DecoderBlock block = {.embedding_scale = std::sqrt(static_cast<float>(graph.config().embedding)),
                              .logit_softcap = graph.real("final_logit_softcapping", 0)};
  decoder(graph, block, [](Graph& g, uint32_t layer, const Value& x) {
    add_normed(g, attention_output(g, x, gemma4_attention(g, slides(g, layer, 0))), "post_attention_norm", x);
    gemma4_feed_forward(g, x);
    if (const TensorInfo* scale = g.vector_if("layer_output_scale.weight", 1)) g.multiply_by(x, {.vector = scale, .period = 1});
  });
}

}  // namespace hotset
