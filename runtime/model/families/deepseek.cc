// DeepSeek-V2, V3, R1 and Kimi K2 (deepseek2), Mistral 4: latent attention, leading dense layers, shared experts beside routed ones that are
// chosen by groups.
#include "runtime/model/families/families.h"

namespace hotset {
namespace {

void layer_of_v2(Graph& g, const Value& x, const LatentBlock& latent) {
  const Value normed = g.norm(x, "attn_norm");
  g.linear_add(latent_attention(g, normed, latent_query(g, normed, latent), latent), "attn_output", x);
  experts_or_dense(g, g.norm(x, "ffn_norm"), x, moe_from_metadata(g, Gating::kSoftmax, false));
}

}  // namespace

void describe_deepseek2(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    LatentBlock latent = latent_from_metadata(g);
    const float temperature = g.real("attention.temperature_scale", 0);
    if (temperature != 0) {
      const uint32_t length = g.number("attention.temperature_length", g.number("rope.scaling.original_context_length", 8192));
      latent.position_scale = g.position_scale({temperature, static_cast<float>(length), 0});
    }
    layer_of_v2(g, x, latent);
  });
}

}  // namespace hotset
