// Families of Kimi delta attention with latent attention between: Kimi Linear, Kimi K3, Ling 3 (bailingmoe3).
#include "runtime/model/families/families.h"

namespace hotset {
namespace {

bool is_delta(const Graph& g) { return g.has("ssm_conv1d_q.weight"); }

Value latent_part(Graph& g, const Value& normed, bool rotates, OutputGate gate) {
  LatentBlock latent = latent_from_metadata(g);
  latent.rotates = rotates;
  latent.gate = gate;
  return latent_attention(g, normed, latent_query(g, normed, latent), latent);
}

// Kimi K3's residual attention: what a part reads is a mix of the stream and of the streams that were banked at earlier layers, each
// weighted by a softmax of its own score.
class StreamMix {
 public:
  // Scores are norm(stream) . `score_part`.
  Value mix(Graph& g, const Value& x, const char* score_part) const {
    if (banked_.empty()) return x;
    const MatrixSpec score = g.matrix(score_part, 1, x.width);
    const Value out = g.value(x.width);
    g.copy(x, out);
    const Value total = score_of(g, x, score);  // log of the sum of what is mixed so far, exponentiated
    for (const Value& stream : banked_) mix_in(g, stream, score_of(g, stream, score), out, total);
    return out;
  }

  void bank(Graph& g, const Value& x) {
    banked_.push_back(g.value(x.width));
    g.copy(x, banked_.back());
  }

 private:
  static Value score_of(Graph& g, const Value& x, const MatrixSpec& score) {
    return g.multiply(g.norm(x, {.cols = x.width, .eps = g.config().norm_epsilon}, nullptr), score);
  }

  // Two-way softmax, so that no sum of exponentials overflows: out += sigmoid(score - total) * (stream - out), then total = log(e^total +
  // e^score).
  static void mix_in(Graph& g, const Value& stream, const Value& score, const Value& out, const Value& total) {
    constexpr Glu kPlain = {.f = Activation::kNone};
    const Value lead = g.value(1);
    g.map({.glu = kPlain, .scale = -1, .a = {.value = total}, .b = {}, .c = {.value = score}, .out = lead});
    const Value share = g.activate(Activation::kSigmoid, lead);
    const Value difference = g.value(out.width);
    g.map({.glu = kPlain, .scale = -1, .a = {.value = out}, .b = {}, .c = {.value = stream}, .out = difference});
    g.map({.glu = kPlain, .a = {.value = difference}, .b = {.value = share, .period = 1}, .c = {.value = out}, .out = out});
    g.map({.glu = {.f = Activation::kSoftplus}, .a = {.value = lead}, .b = {}, .c = {.value = total}, .out = total});
  }

  std::vector<Value> banked_;
};

// Routed experts of a narrower width: down before them, a norm and up behind them.
void latent_experts(Graph& g, const Value& x, const Value& out, const MoeBlock& block) {
  const uint32_t width = g.number("expert_latent_length", 0);
  if (width == 0 || !g.has("ffn_routed_down.weight")) {
    routed_experts(g, x, out, block);
    return;
  }
  MoeBlock narrow = block;
  narrow.router_input = x;
  const Value in = g.linear(x, "ffn_routed_down", width);
  const Value mixed = g.value(width);
  g.fill_zero(mixed);
  routed_experts(g, in, mixed, narrow);
  g.linear_add(g.has("ffn_routed_norm.weight") ? g.norm(mixed, "ffn_routed_norm") : mixed, "ffn_routed_up", out);
}

void k3_feed_forward(Graph& g, const Value& normed, const Value& x) {
  const float beta = g.real("activation.situ_beta", 1);
  Glu glu = {.f = Activation::kSitu, .alpha = 1 / beta};
  const float linear_beta = g.real("activation.situ_linear_beta", 0);
  if (linear_beta > 0) glu.up_high = linear_beta;
  if (!g.has("ffn_gate_inp.weight")) {
    feed_forward(g, normed, x, g.config().layer_feed_forward[g.layer()], glu);
    return;
  }
  MoeBlock experts = moe_from_metadata(g, Gating::kSigmoid, true);
  experts.glu = glu;
  shared_experts(g, normed, x, shared_width(g), glu);
  latent_experts(g, normed, x, experts);
}

}  // namespace

void describe_kimi_linear(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    const Value normed = g.norm(x, "attn_norm");
    g.linear_add(is_delta(g) ? kimi_delta_attention(g, normed) : latent_part(g, normed, false, OutputGate::kNone), "attn_output", x);
    experts_or_dense(g, g.norm(x, "ffn_norm"), x, moe_from_metadata(g, Gating::kSigmoid, true));
  });
}

void describe_kimi_k3(Graph& graph) {
  StreamMix streams;
  const uint32_t block_size = graph.number("attn_res.block_size", 0);
  const Value x = graph.embed();
  for (uint32_t i = 0; i < graph.config().layers; ++i) {
    Graph& g = graph;
    g.begin_layer(i);
    const Value normed = g.norm(block_size != 0 ? streams.mix(g, x, "attn_res_score.weight") : x, "attn_norm");
    const bool banks = block_size != 0 && i % block_size == 0;  // the stream begins anew with this layer's attention
    if (banks) streams.bank(g, x);
    if (banks) g.fill_zero(x);
    const OutputGate gate = g.has("attn_gate.weight") ? OutputGate::kChannel : OutputGate::kNone;
    g.linear_add(is_delta(g) ? kimi_delta_attention(g, normed) : latent_part(g, normed, false, gate), "attn_output", x);
    k3_feed_forward(g, g.norm(block_size != 0 ? streams.mix(g, x, "ffn_res_score.weight") : x, "ffn_norm"), x);
  }
  graph.end_layers();
  const Value last = block_size != 0 ? streams.mix(graph, x, "output_res_score.weight") : x;
  graph.begin_head(last);
  graph.output(graph.norm(last, "output_norm"));
}

void describe_bailingmoe3(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    const Value normed = g.norm(x, "attn_norm");
    g.linear_add(is_delta(g) ? kimi_delta_attention(g, normed, false) : latent_part(g, normed, true, OutputGate::kHead), "attn_output", x);
    const Value inner = g.norm(x, "ffn_norm");
    if (!g.has("ffn_gate_inp.weight")) {
      feed_forward(g, inner, x, g.config().layer_feed_forward[g.layer()]);
      return;
    }
    MoeBlock experts = moe_from_metadata(g, Gating::kSigmoid, true);
    experts.glu = clamped_glu(g, "swiglu_clamp_exp");
    shared_experts(g, inner, x, shared_width(g), clamped_glu(g, "swiglu_clamp_shexp"));
    routed_experts(g, inner, x, experts);
  });
}

}  // namespace hotset
