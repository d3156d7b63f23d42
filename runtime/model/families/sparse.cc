// Families whose attention sees chosen positions only: DeepSeek-V3.2, GLM-5, dots3 note, MiniMax-M3.
#include <cmath>

#include "runtime/model/families/families.h"

namespace hotset {
namespace {

constexpr uint32_t kGlm52Context = 1048576;  // files of GLM-5.2 have at least this, and may not say which layers have indexers

void attend_and_feed(Graph& g, const Value& x, const Value& normed, const Value& query, const LatentBlock& latent) {
  g.linear_add(latent_attention(g, normed, query, latent), "attn_output", x);
  experts_or_dense(g, g.norm(x, "ffn_norm"), x, moe_from_metadata(g, Gating::kSigmoid, true));
}

// Layers without an indexer of their own see what the last one with it chose.
bool has_indexer(Graph& g, uint32_t layer) {
  const std::vector<int64_t> types = g.numbers("attention.indexer.types");
  if (layer < types.size()) return types[layer] != 0;
  if (g.config().context_length >= kGlm52Context) return layer < 3 || (layer - 2) % 4 == 0;
  return true;
}

// The sizes of sliding layers, which have latent vectors and a rotation of their own.
void slide(Graph& g, LatentBlock& latent) {
  const uint32_t head_dim = g.number("attention.key_length_mla_swa", latent.plain_dim + latent.rope_dim);
  g.require(head_dim > latent.rope_dim, "these sizes of latent attention");
  latent.plain_dim = head_dim > latent.rope_dim ? head_dim - latent.rope_dim : 1;
  latent.value_dim = g.number("attention.value_length_mla_swa", latent.value_dim);
  latent.latent = g.number("attention.kv_lora_rank_swa", latent.latent);
  latent.scale = 1 / std::sqrt(static_cast<float>(head_dim));
  latent.window = g.config().sliding_window;
  latent.rope_table = g.rope_table(rope_from_metadata(g, latent.rope_dim, g.real("rope.freq_base_swa", g.config().rope_base)));
}

}  // namespace

// An indexer on every layer; its rotation is by halves, that of attention by neighbours.
void describe_deepseek32(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    LatentBlock latent = latent_from_metadata(g);
    const Value normed = g.norm(x, "attn_norm");
    const Value query = latent_query(g, normed, latent);
    latent.mask = lightning_mask(g, normed, query, indexer_from_metadata(g, latent.rope_dim, latent.rope_table));
    attend_and_feed(g, x, normed, query, latent);
  });
}

void describe_glm_dsa(Graph& graph) {
  Value chosen;
  decoder(graph, {}, [&](Graph& g, uint32_t layer, const Value& x) {
    LatentBlock latent = latent_from_metadata(g);
    const Value normed = g.norm(x, "attn_norm");
    const Value query = latent_query(g, normed, latent);
    if (has_indexer(g, layer)) {
      IndexerBlock indexer = indexer_from_metadata(g, latent.rope_dim, latent.rope_table);
      indexer.adjacent_pairs = true;
      chosen = lightning_mask(g, normed, query, indexer);
    }
    latent.mask = chosen;
    attend_and_feed(g, x, normed, query, latent);
  });
}

// An indexer where layers see all, a window elsewhere; attention output times sigmoid(gate) of each head.
void describe_dots3note(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t layer, const Value& x) {
    LatentBlock latent = latent_from_metadata(g);
    latent.gate = OutputGate::kHead;
    g.need("attn_k_norm.weight");
    const Value normed = g.norm(x, "attn_norm");
    const Value query = latent_query(g, normed, latent);
    if (slides(g, layer, 0)) slide(g, latent);
    else latent.mask = lightning_mask(g, normed, query, indexer_from_metadata(g, latent.rope_dim, latent.rope_table));
    attend_and_feed(g, x, normed, query, latent);
  });
}

// Grouped-query attention. Each key head may see only the blocks that a head of the indexer chose; the reference results see all.
void describe_minimax_m3(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    g.need("attn_q_norm.weight");
    g.need("attn_k_norm.weight");
    const Value normed = g.norm(x, "attn_norm");
    if (g.options().block_sparse && g.has("indexer.q_proj.weight")) {
      const IndexerBlock indexer = indexer_from_metadata(g, attention.rope_dim, attention.rope_table);
      g.require(indexer.shape.heads == attention.kv_heads, "other numbers of indexer heads than of key/value heads");
      attention.mask = block_mask(g, normed, indexer);
    }
    g.linear_add(grouped_attention(g, normed, attention), "attn_output", x);
    MoeBlock experts = moe_from_metadata(g, Gating::kSigmoid, true);
    experts.glu = kGptOssGlu;
    experts_or_dense(g, g.norm(x, "ffn_norm"), x, experts);
  });
}

}  // namespace hotset
