// Other families with residual streams: Hunyuan 4 (latent attention with sinks and a gate), Qwen4 (gated delta nets and attention to runs of
// positions).
#include <algorithm>

#include "runtime/model/families/families.h"

namespace hotset {
namespace {

uint32_t stream_count(Graph& g) {
  const uint32_t count = g.number("hyper_connection.count", 1);
  g.require(count != 0 && count <= shaders::kMaxStreams, "so many residual streams");
  return count;
}

uint32_t layers_of(Graph& g) { return g.config().layers - std::min(g.config().layers, g.number("nextn_predict_layers", 0)); }

// Layers without an indexer of their own see what the last one with it chose.
Value attend_latent(Graph& g, const Value& x, Value& chosen) {
  LatentBlock latent = latent_from_metadata(g);
  latent.gate = OutputGate::kChannel;
  g.need("attn_sinks.weight");
  g.need("attn_k_b.weight");
  const Value query = latent_query(g, x, latent);
  if (g.has("indexer.attn_k.weight")) {
    IndexerBlock indexer = indexer_from_metadata(g, latent.rope_dim, latent.rope_table);
    indexer.adjacent_pairs = indexer.rope_last = true;
    indexer.norm_eps = g.config().norm_epsilon;
    chosen = lightning_mask(g, x, query, indexer);
  }
  latent.mask = chosen;
  return g.linear(latent_attention(g, x, query, latent), "attn_output", x.width);
}

// Shared experts and dense networks are not clamped.
Value feed_clamped(Graph& g, const Value& x) {
  if (!g.has("ffn_gate_inp.weight")) return feed_forward_alone(g, x, g.config().layer_feed_forward[g.layer()]);
  MoeBlock experts = moe_from_metadata(g, Gating::kSigmoid, true);
  experts.glu = clamped_before(g, "swiglu_clamp_exp");
  const Value out = feed_forward_alone(g, x, shared_width(g), {}, "_shexp");
  routed_experts(g, x, out, experts);
  return out;
}

Value attend_runs(Graph& g, const Value& x) {
  AttentionBlock attention = attention_from_metadata(g);
  attention.gate = OutputGate::kInQuery;
  const std::vector<int64_t> ratios = g.numbers("attention.compress_ratios");
  const int64_t ratio = g.layer() < ratios.size() ? ratios[g.layer()] : 0;
  g.require(ratio >= 0 && ratio <= INT32_MAX, "these runs of positions");
  if (ratio > 0) {
    const RopeSpec rope = rope_from_metadata(g, attention.rope_dim);
    const IndexerBlock indexer = indexer_from_metadata(g, attention.rope_dim, attention.rope_table);
    attention.mask = run_mask(g, x, indexer, rope, static_cast<uint32_t>(ratio));
  }
  return g.linear(grouped_attention(g, x, attention), "attn_output", x.width);
}

Value feed_shared(Graph& g, const Value& x) {
  const Value out = g.value(x.width);
  g.fill_zero(out);
  experts_or_dense(g, x, out, moe_from_metadata(g, Gating::kSoftmax, true));
  return out;
}

}  // namespace

void describe_hy_v4(Graph& g) {
  const StreamShape shape = {.streams = stream_count(g), .eps = g.real("hyper_connection.epsilon", 1e-6f)};
  const float magnitude = g.real("hyper_connection.magnitude", 2);
  if (!g.ok()) return;
  const Value streams = split_streams(g, g.embed(), shape.streams);
  Value chosen;
  for (uint32_t layer = 0; layer < layers_of(g); ++layer) {
    g.begin_layer(layer);
    const StreamRead attention = read_kept_streams(g, streams, "hc_attn", shape, magnitude);
    add_to_streams(g, attention, attend_latent(g, g.norm(attention.x, "attn_norm"), chosen), streams);
    const StreamRead network = read_kept_streams(g, streams, "hc_ffn", shape, magnitude);
    add_to_streams(g, network, feed_clamped(g, g.norm(network.x, "ffn_norm")), streams);
  }
  g.begin_head(streams);
  g.output(g.norm(join_streams(g, streams, shape), "output_norm"));
}

// What parts read is normed with the streams; the head has no norm besides.
void describe_qwen4exp(Graph& g) {
  const uint32_t count = stream_count(g);
  g.require(!g.has("per_layer_token_embd.weight"), "embeddings of n-grams");
  if (!g.ok()) return;
  const Value streams = split_streams(g, g.embed(), count);
  for (uint32_t layer = 0; layer < layers_of(g); ++layer) {
    g.begin_layer(layer);
    const StreamRead mixer = read_gated_streams(g, streams, "hc_attn", count);
    const bool recurrent = g.has("ssm_conv1d.weight");
    const Value mixed = recurrent ? g.linear(gated_delta_net(g, mixer.x, true, Activation::kSigmoid), "ssm_out", mixer.x.width) : attend_runs(g, mixer.x);
    add_to_streams(g, mixer, mixed, streams);
    const StreamRead network = read_gated_streams(g, streams, "hc_ffn", count);
    add_to_streams(g, network, feed_shared(g, network.x), streams);
  }
  g.begin_head(streams);
  g.output(read_gated_streams(g, streams, "output_hc", count, false).x);
}

}  // namespace hotset
