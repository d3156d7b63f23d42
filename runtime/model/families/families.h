// The families that are more than data, by the file that holds them.
#pragma once

#include "runtime/model/blocks.h"

namespace hotset {

// deepseek.cc
void describe_deepseek2(Graph& graph);

// deepseek4.cc
void describe_deepseek4(Graph& graph);
// Gate and up clamped before the function, as the key says for the current layer.
Glu clamped_before(Graph& graph, const char* key);

// hyper.cc
void describe_hy_v4(Graph& graph);
void describe_qwen4exp(Graph& graph);

// kimi.cc
void describe_bailingmoe3(Graph& graph);
void describe_kimi_k3(Graph& graph);
void describe_kimi_linear(Graph& graph);

// granite.cc
void describe_granite(Graph& graph);
// Parts that the hybrid form shares.
void add_scaled(Graph& graph, const Value& part, float factor, const Value& x);
AttentionBlock granite_attention(Graph& graph);
void granite_feed_forward(Graph& graph, const Value& x, float residual_scale);
DecoderBlock granite_decoder(Graph& graph);

// grouped.cc
// The clamps that some files give for layers: silu(gate) at most limit, up within it.
Glu clamped_glu(Graph& graph, const char* key);
void describe_arctic(Graph& graph);
void describe_cohere2moe(Graph& graph);
void describe_grovemoe(Graph& graph);
void describe_laguna(Graph& graph);
void describe_llama4(Graph& graph);
void describe_maple(Graph& graph);
void describe_smallthinker(Graph& graph);
void describe_step35(Graph& graph);

// hybrid.cc
void describe_granite_hybrid(Graph& graph);
void describe_jamba(Graph& graph);
void describe_lfm2(Graph& graph);
void describe_minimax01(Graph& graph);
void describe_nemotron_h(Graph& graph);
void describe_qwen35moe(Graph& graph);
void describe_qwen3next(Graph& graph);

// sandwich.cc
void describe_afmoe(Graph& graph);
void describe_gemma4(Graph& graph);
void describe_grok(Graph& graph);

// sparse.cc
void describe_deepseek32(Graph& graph);
void describe_dots3note(Graph& graph);
void describe_glm_dsa(Graph& graph);
void describe_minimax_m3(Graph& graph);

// clamp(g, max 7) * sigmoid(1.702 g) * (clamp(u, -7, 7) + 1) (gpt-oss, "swiglu").
inline constexpr Glu kGptOssGlu = {.alpha = 1.702f, .gate_high = 7, .up_low = -7, .up_high = 7, .up_offset = 1};

}  // namespace hotset
