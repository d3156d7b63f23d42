// Qwen: halves rotate. Qwen2 MoE has biases on q, k and v, and a shared expert behind a gate; Qwen3 MoE (and the text part of Qwen3-VL,
// whose sections share one position in text) norms each q and k head.
#include "runtime/model/blocks.h"
#include "runtime/model/family.h"

namespace hotset {
namespace {

void attend(Graph& g, const Value& x) {
  g.linear_add(grouped_attention(g, g.norm(x, "attn_norm"), attention_from_metadata(g)), "attn_output", x);
}

}  // namespace

void describe_qwen2moe(Graph& graph) {
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    attend(g, x);
    const Value normed = g.norm(x, "ffn_norm");
    shared_experts(g, normed, x, shared_width(g));
    routed_experts(g, normed, x, moe_from_metadata(g, Gating::kSoftmax, false));
  });
}

void describe_qwen3moe(Graph& graph) {
  graph.require(graph.config().shared_experts == 0, "shared experts");
  decoder(graph, {}, [](Graph& g, uint32_t, const Value& x) {
    attend(g, x);
    routed_experts(g, g.norm(x, "ffn_norm"), x, moe_from_metadata(g, Gating::kSoftmax, true));
  });
}

}  // namespace hotset
