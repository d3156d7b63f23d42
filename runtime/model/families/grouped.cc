// Families with grouped-query attention whose layers have a shape of their own: Arctic, Cohere 2 MoE, Llama 4, Laguna, SmallThinker, Step 3.5.
#include <cmath>

#include "runtime/model/families/families.h"

namespace hotset {
namespace {

constexpr float kLlama4Temperature = 0.1f;
constexpr uint32_t kLlama4Chunk = 8192;  // positions; also the floor of the temperature
constexpr uint32_t kSmallThinkerPeriod = 4;  // its first layer sees all and does not turn, but in a model of one period
constexpr uint32_t kLlama4LargeExperts = 128;  // Maverick, which does not norm q and k

void attend(Graph& g, const Value& x, const AttentionBlock& attention) {
  g.linear_add(grouped_attention(g, g.norm(x, "attn_norm"), attention), "attn_output", x);
}

// Plain rotation of a sliding layer: no scaling and no factors.
uint32_t plain_rope(Graph& g, uint32_t dim) {
  RopeSpec rope;
  rope.dim = dim;
  rope.base = g.real("rope.freq_base_swa", g.config().rope_base);
  return g.rope_table(rope);
}

}  // namespace

Glu clamped_glu(Graph& g, const char* key) {
  const float limit = g.layer_real(key, g.layer(), 0);
  if (!(limit > 1e-6f)) return {};
  return {.gate_high = silu_inverse(limit), .up_low = -limit, .up_high = limit};
}

// A dense network on x after attention, experts on x before it.
void describe_arctic(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    attention.adjacent_pairs = true;
    const Value before = g.norm(x, "ffn_norm_exps");
    attend(g, x, attention);
    feed_forward(g, g.norm(x, "ffn_norm"), x, x.width);
    routed_experts(g, before, x, moe_from_metadata(g, Gating::kSoftmax, true));
  });
}

// Attention and feed-forward read the same norm; shared and routed experts are averaged.
void describe_cohere2moe(Graph& graph) {
  const DecoderBlock block = {.logit_scale = graph.real("logit_scale", 1)};
  decoder(graph, block, [](Graph& g, uint32_t layer, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    attention.adjacent_pairs = true;
    const bool sliding = slides(g, layer, 4, true);
    if (sliding) attention.window = g.config().sliding_window;
    if (!sliding && layer >= g.config().leading_dense_layers) attention.rope_dim = 0;
    const Value normed = g.norm(x, "attn_norm");
    const Value attended = grouped_attention(g, normed, attention);
    const Value out = g.value(x.width);
    g.fill_zero(out);
    experts_or_dense(g, normed, out, moe_from_metadata(g, Gating::kSigmoid, true));
    if (g.has("ffn_up_shexp.weight")) g.scale(out, 0.5f);
    g.linear_add(attended, "attn_output", x);
    g.add(out, x);
  });
}

// Chunked layers with rotation, then one that sees all, without it but with a temperature by position; the expert's weight scales its input.
void describe_llama4(Graph& graph) {
  const bool chunks = !graph.has_key("attention.sliding_window") || graph.config().sliding_window != 0;
  decoder(graph, {}, [&](Graph& g, uint32_t layer, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    attention.adjacent_pairs = true;
    attention.norm_after_rope = true;
    const bool rotates = !chunks || (layer + 1) % 4 != 0;
    if (rotates) {
      attention.chunk = chunks ? kLlama4Chunk : 0;
      attention.unit_norms = g.config().experts != kLlama4LargeExperts;
    } else {
      attention.rope_dim = 0;
      attention.position_scale = g.position_scale({kLlama4Temperature, static_cast<float>(kLlama4Chunk), 1});
    }
    attend(g, x, attention);
    MoeBlock experts = moe_from_metadata(g, Gating::kSigmoid, false);
    experts.gating = Gating::kSigmoid;
    experts.renormalise = false;
    experts.weight_on_input = true;
    experts_or_dense(g, g.norm(x, "ffn_norm"), x, experts);
  });
}

// Attention output times softplus(gate), a number a head or a channel; sliding layers rotate plainly.
void describe_laguna(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t layer, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    attention.gate_function = Activation::kSoftplus;
    attention.gate = OutputGate::kByTensor;
    if (slides(g, layer, 4, true)) {
      attention.window = g.config().sliding_window;
      attention.rope_dim = g.number("rope.dimension_count_swa", attention.rope_dim);
      attention.rope_table = plain_rope(g, attention.rope_dim);
    }
    attend(g, x, attention);
    experts_or_dense(g, g.norm(x, "ffn_norm"), x, moe_from_metadata(g, Gating::kSigmoid, true));
  });
}

// The router reads the layer's input; experts have a ReLU gate.
void describe_smallthinker(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t layer, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    if (slides(g, layer, kSmallThinkerPeriod, true)) attention.window = g.config().sliding_window;
    else if (g.config().sliding_window != 0 && g.config().layers != kSmallThinkerPeriod) attention.rope_dim = 0;
    const Value before = g.value(x.width);
    g.copy(x, before);
    attend(g, x, attention);
    MoeBlock experts = moe_from_metadata(g, Gating::kSoftmax, true);
    experts.renormalise = true;
    experts.glu = {.f = Activation::kRelu};
    experts.router_input = before;
    routed_experts(g, g.norm(x, "ffn_norm"), x, experts);
  });
}

// Full layers rotate half of what sliding ones do; attention output times sigmoid(gate) of each head; clamps of single layers.
void describe_step35(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t layer, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    if (g.has("attn_gate.weight")) attention.gate = OutputGate::kHead;
    if (slides(g, layer, 0)) {
      attention.window = g.config().sliding_window;
      attention.rope_table = plain_rope(g, attention.rope_dim);
    } else {
      attention.rope_dim /= 2;
      attention.rope_table = g.rope_table(rope_from_metadata(g, attention.rope_dim));
    }
    attend(g, x, attention);
    const Value normed = g.norm(x, "ffn_norm");
    if (!g.has("ffn_gate_inp.weight")) {
      feed_forward(g, normed, x, g.config().layer_feed_forward[layer], clamped_glu(g, "swiglu_clamp_shexp"));
      return;
    }
    MoeBlock experts = moe_from_metadata(g, Gating::kSigmoid, true);
    experts.glu = clamped_glu(g, "swiglu_clamp_exp");
    shared_experts(g, normed, x, shared_width(g), clamped_glu(g, "swiglu_clamp_shexp"));
    routed_experts(g, normed, x, experts);
  });
}

// Rotation on sliding layers only; the gate and up of experts are clamped.
void describe_maple(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t layer, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    if (slides(g, layer, 0)) {
      attention.window = g.config().sliding_window;
      attention.rope_table = g.rope_table(rope_from_metadata(g, attention.rope_dim, g.real("rope.freq_base_swa", g.config().rope_base)));
    } else {
      attention.rope_dim = 0;
    }
    attend(g, x, attention);
    const float limit = g.layer_real("swiglu_clamp_exp", layer, 7);
    MoeBlock experts = moe_from_metadata(g, Gating::kSoftmax, true);
    experts.glu = {.gate_high = silu_inverse(limit), .up_low = -limit, .up_high = limit};
    routed_experts(g, g.norm(x, "ffn_norm"), x, experts);
  });
}

// What the routed experts give, and to it added what smaller experts make of that, each of which serves a group of the routed ones. The
// same scores choose both; a smaller one's weight is the gate of the routed expert that has its number.
void describe_grovemoe(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    g.need("attn_q_norm.weight");
    g.need("attn_k_norm.weight");
    attend(g, x, attention_from_metadata(g));
    MoeBlock experts = moe_from_metadata(g, Gating::kSoftmax, true);
    experts.router_input = g.norm(x, "ffn_norm");
    const Value given = g.value(x.width);
    g.fill_zero(given);
    routed_experts(g, experts.router_input, given, experts);
    g.add(given, x);
    experts.kind = "_chexps";
    experts.ff = g.number("expert_chunk_feed_forward_length", 0);
    experts.scale = g.real("expert_group_scale", 1);
    experts.sharers = g.number("experts_per_group", 0);
    g.require(uint64_t{experts.sharers} * g.config().experts_used <= g.config().experts, "more experts a token than groups of them");
    routed_experts(g, given, x, experts);
  });
}

}  // namespace hotset
