// Granite (dense, MoE, with sliding layers): scaled embedding, residuals, attention and logits; shared experts beside routed ones.
#include "runtime/model/families/families.h"

namespace hotset {

// x += factor * part.
void add_scaled(Graph& graph, const Value& part, float factor, const Value& x) {
  graph.map({.glu = {.f = Activation::kNone}, .scale = factor, .a = {.value = part}, .b = {}, .c = {.value = x}, .out = x});
}

AttentionBlock granite_attention(Graph& g) {
  AttentionBlock attention = attention_from_metadata(g);
  attention.adjacent_pairs = true;
  const float scale = g.real("attention.scale", 0);
  if (scale != 0) attention.scale = scale;
  if (!g.flag("rope.scaling.finetuned", true)) attention.rope_dim = 0;
  if (slides(g, g.layer(), 0)) attention.window = g.config().sliding_window;
  return attention;
}

void granite_feed_forward(Graph& g, const Value& x, float residual_scale) {
  const Value out = g.value(x.width);
  g.fill_zero(out);
  experts_or_dense(g, g.norm(x, "ffn_norm"), out, moe_from_metadata(g, Gating::kSoftmax, true));
  add_scaled(g, out, residual_scale, x);
}

DecoderBlock granite_decoder(Graph& graph) {
  DecoderBlock block;
  block.embedding_scale = graph.real("embedding_scale", 1);
  const float logit_scale = graph.real("logit_scale", 0);
  block.logit_scale = logit_scale != 0 ? 1 / logit_scale : 1;
  return block;
}

void describe_granite(Graph& graph) {
  const float residual_scale = graph.real("residual_scale", 1);
  decoder(graph, granite_decoder(graph), [&](Graph& g, uint32_t, const Value& x) {
    const Value attended = grouped_attention(g, g.norm(x, "attn_norm"), granite_attention(g));
    add_scaled(g, g.linear(attended, "attn_output", x.width), residual_scale, x);
    granite_feed_forward(g, x, residual_scale);
  });
}

}  // namespace hotset
