// Families of the plain form: x += attention(norm(x)); x += experts or dense network(norm(x)). What differs is data.
#include "runtime/model/families/plain.h"

#include "runtime/model/blocks.h"

namespace hotset {

void describe_plain(Graph& graph, const PlainStyle& style) {
  decoder(graph, {}, [&](Graph& g, uint32_t layer, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    attention.adjacent_pairs = style.adjacent_pairs;
    attention.norm_after_rope = style.norm_after_rope;
    attention.clamp_qkv = g.real("attention.clamp_kqv", 0);
    attention.gate = style.gate;
    const float value_scale = g.real("attention.value_scale", 1);
    if (value_scale != 0) attention.value_scale = value_scale;
    const bool sliding = slides(g, layer, style.window_period);
    if (sliding) attention.window = g.config().sliding_window;
    if (!sliding && style.turns == Turns::kSliding) attention.rope_dim = 0;
    if (sliding && g.has_key("rope.freq_base_swa")) {
      attention.rope_table = g.rope_table(rope_from_metadata(g, attention.rope_dim, g.real("rope.freq_base_swa", 0)));
    }
    const Value normed = g.norm(x, "attn_norm");
    const Value attended = grouped_attention(g, normed, attention);
    for (const char* norm : {"attn_q_norm.weight", "attn_k_norm.weight"}) {
      if (style.query_norms) g.need(norm);
    }
    g.linear_add(attended, "attn_output", x);
    MoeBlock experts = moe_from_metadata(g, style.gating, style.renormalise);
    experts.glu = style.glu;
    if (style.wide_experts) experts.ff = g.config().feed_forward;
    experts_or_dense(g, g.norm(x, style.ffn_norm), x, experts);
  });
}

}  // namespace hotset
