// Llama and Mixtral: grouped-query attention, neighbouring pairs rotate, SwiGLU; with experts softmax routing, weights made to sum to 1.
#include "runtime/model/blocks.h"
#include "runtime/model/family.h"

namespace hotset {

void describe_llama(Graph& graph) {
  const ModelConfig& config = graph.config();
  decoder(graph, {}, [&](Graph& g, uint32_t layer, const Value& x) {
    AttentionBlock attention = attention_from_metadata(g);
    attention.adjacent_pairs = true;
    g.linear_add(grouped_attention(g, g.norm(x, "attn_norm"), attention), "attn_output", x);
    const Value normed = g.norm(x, "ffn_norm");
    if (config.is_moe()) routed_experts(g, normed, x, moe_from_metadata(g, Gating::kSoftmax, true));
    else feed_forward(g, normed, x, config.layer_feed_forward[layer]);
  });
}

}  // namespace hotset
