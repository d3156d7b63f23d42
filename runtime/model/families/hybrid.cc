// Families with recurrent layers: Qwen3-Next and Qwen3.5 (gated delta nets), Nemotron-H and Granite (Mamba-2), Jamba (Mamba),
// LFM2 (short convolutions), MiniMax-01 (lightning attention).
#include "runtime/model/families/families.h"

namespace hotset {
namespace {

// Attention whose output is gated by the second half of each query head.
Value gated_attention(Graph& g, const Value& normed) {
  AttentionBlock attention = attention_from_metadata(g);
  attention.gate = OutputGate::kInQuery;
  return grouped_attention(g, normed, attention);
}

void delta_decoder(Graph& graph, bool tiled_heads) {
  decoder(graph, {}, [=](Graph& g, uint32_t, const Value& x) {
    const Value normed = g.norm(x, "attn_norm");
    if (g.has("ssm_conv1d.weight")) g.linear_add(gated_delta_net(g, normed, tiled_heads), "ssm_out", x);
    else g.linear_add(gated_attention(g, normed), "attn_output", x);
    experts_or_dense(g, g.norm(x, "post_attention_norm"), x, moe_from_metadata(g, Gating::kSoftmax, true));
  });
}

void attend_without_rotation(Graph& g, const Value& normed, const Value& x) {
  AttentionBlock attention = attention_from_metadata(g);
  attention.rope_dim = 0;
  g.linear_add(grouped_attention(g, normed, attention), "attn_output", x);
}

}  // namespace

void describe_qwen3next(Graph& graph) { delta_decoder(graph, false); }
void describe_qwen35moe(Graph& graph) { delta_decoder(graph, true); }

// One mixer a layer: Mamba-2, attention without rotation, or a feed-forward part; no gates, relu(x)^2.
void describe_nemotron_h(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    const Value normed = g.norm(x, "attn_norm");
    if (g.has("ssm_in.weight")) {
      g.linear_add(mamba2(g, normed), "ssm_out", x);
    } else if (g.has("attn_q.weight")) {
      attend_without_rotation(g, normed, x);
    } else {
      MoeBlock experts = moe_from_metadata(g, Gating::kSigmoid, true);
      experts.glu.f = Activation::kReluSquared;
      experts.gating = Gating::kSigmoid;
      experts_or_dense(g, normed, x, experts);
    }
  });
}

void describe_granite_hybrid(Graph& graph) {
  const float residual_scale = graph.real("residual_scale", 1);
  decoder(graph, granite_decoder(graph), [&](Graph& g, uint32_t, const Value& x) {
    const Value normed = g.norm(x, "attn_norm");
    const Value part = g.has("ssm_in.weight") ? g.linear(mamba2(g, normed), "ssm_out", x.width)
                                              : g.linear(grouped_attention(g, normed, granite_attention(g)), "attn_output", x.width);
    add_scaled(g, part, residual_scale, x);
    granite_feed_forward(g, x, residual_scale);
  });
}

void describe_jamba(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    const Value normed = g.norm(x, "attn_norm");
    if (g.has("ssm_in.weight")) g.linear_add(mamba1(g, normed), "ssm_out", x);
    else attend_without_rotation(g, normed, x);
    experts_or_dense(g, g.norm(x, "ffn_norm"), x, moe_from_metadata(g, Gating::kSoftmax, false));
  });
}

void describe_lfm2(Graph& graph) {
  const DecoderBlock block = {.output_norm = graph.has("token_embd_norm.weight") ? "token_embd_norm" : "output_norm"};
  decoder(graph, block, [](Graph& g, uint32_t, const Value& x) {
    const Value normed = g.norm(x, "attn_norm");
    if (g.has("shortconv.conv.weight")) g.linear_add(short_convolution(g, normed, g.number("shortconv.l_cache", 3)), "shortconv.out_proj", x);
    else g.linear_add(grouped_attention(g, normed, attention_from_metadata(g)), "attn_output", x);
    experts_or_dense(g, g.norm(x, "ffn_norm"), x, moe_from_metadata(g, Gating::kSigmoid, true));
  });
}

// The residual is what the norms give, scaled.
void describe_minimax01(Graph& graph) {
  const float residual_scale = graph.real("residual_scale", 1);
  decoder(graph, {}, [&](Graph& g, uint32_t layer, const Value& x) {
    const Value normed = g.norm(x, "attn_norm");
    const float layers = static_cast<float>(std::max(2u, g.config().layers) - 1);
    const Value part = g.has("attn_norm_2.weight") ? lightning_attention(g, normed, 1 - static_cast<float>(layer) / layers + 1e-5f)
                                                   : grouped_attention(g, normed, attention_from_metadata(g));
    g.map({.glu = {.f = Activation::kNone}, .scale = residual_scale, .a = {.value = normed}, .b = {}, .c = {}, .out = x});
    g.linear_add(part, "attn_output", x);
    const Value inner = g.norm(x, "ffn_norm");
    g.map({.glu = {.f = Activation::kNone}, .scale = residual_scale, .a = {.value = inner}, .b = {}, .c = {}, .out = x});
    routed_experts(g, inner, x, moe_from_metadata(g, Gating::kSoftmax, true));
  });
}

}  // namespace hotset
