// qwen3moe: Qwen3-30B-A3B, Qwen3-235B-A22B, Storyteller. Pre-norm; grouped-query attention with RMSNorm on each q and k head and
// rotation of (i, i + dim/2); softmax router over all experts, top-k, weights made to sum to 1; SwiGLU experts.
#include <cmath>

#include "runtime/model/family.h"
#include "runtime/model/tensor_finder.h"

namespace hotset {
namespace {

constexpr uint32_t kSoftmaxGating = 1;  // expert_gating_func; 0 is what a file without the key has

AttentionShape attention_shape(const ModelConfig& config) {
  AttentionShape shape;
  shape.heads = config.heads;
  shape.kv_heads = config.kv_heads;
  shape.head_dim = config.key_length;
  shape.value_dim = config.value_length;
  shape.rope_dim = config.rope_dimensions;
  shape.norm_eps = config.norm_epsilon;
  shape.scale = 1.0f / std::sqrt(static_cast<float>(config.key_length));
  return shape;
}

// q, k and v lie in three tensors or joined, in this order, in one.
Status find_qkv(const TensorFinder& find, uint32_t layer, uint32_t embd, AttentionSpec& attention) {
  const AttentionShape& s = attention.shape;
  const uint32_t q_rows = s.heads * s.head_dim;
  const uint32_t k_rows = s.kv_heads * s.head_dim;
  const uint32_t v_rows = s.kv_heads * s.value_dim;
  const std::string joined = layer_tensor(layer, "attn_qkv.weight");
  if (find.has(joined)) {
    HOTSET_ASSIGN(const MatrixSpec all, find.matrix(joined, q_rows + k_rows + v_rows, embd));
    attention.q = {all.tensor, 0, q_rows, embd};
    attention.k = {all.tensor, q_rows, k_rows, embd};
    attention.v = {all.tensor, q_rows + k_rows, v_rows, embd};
    return ok_status();
  }
  HOTSET_ASSIGN(attention.q, find.matrix(layer_tensor(layer, "attn_q.weight"), q_rows, embd));
  HOTSET_ASSIGN(attention.k, find.matrix(layer_tensor(layer, "attn_k.weight"), k_rows, embd));
  HOTSET_ASSIGN(attention.v, find.matrix(layer_tensor(layer, "attn_v.weight"), v_rows, embd));
  return ok_status();
}

Result<AttentionSpec> find_attention(const TensorFinder& find, uint32_t layer, const ModelConfig& config) {
  AttentionSpec attention;
  attention.shape = attention_shape(config);
  const AttentionShape& s = attention.shape;
  HOTSET_RETURN_IF_ERROR(find_qkv(find, layer, config.embedding, attention));
  HOTSET_ASSIGN(attention.output, find.matrix(layer_tensor(layer, "attn_output.weight"), config.embedding, s.heads * s.value_dim));
  HOTSET_ASSIGN(attention.q_norm, find.vector(layer_tensor(layer, "attn_q_norm.weight"), s.head_dim));
  HOTSET_ASSIGN(attention.k_norm, find.vector(layer_tensor(layer, "attn_k_norm.weight"), s.head_dim));
  return attention;
}

Result<MoeSpec> find_moe(const TensorFinder& find, uint32_t layer, const ModelConfig& config) {
  MoeSpec moe;
  const uint32_t ff = config.expert_feed_forward;
  const uint32_t embd = config.embedding;
  HOTSET_ASSIGN(moe.router, find.matrix(layer_tensor(layer, "ffn_gate_inp.weight"), config.experts, embd));
  HOTSET_ASSIGN(moe.gate, find.stack(layer_tensor(layer, "ffn_gate_exps.weight"), config.experts, ff, embd));
  HOTSET_ASSIGN(moe.up, find.stack(layer_tensor(layer, "ffn_up_exps.weight"), config.experts, ff, embd));
  HOTSET_ASSIGN(moe.down, find.stack(layer_tensor(layer, "ffn_down_exps.weight"), config.experts, embd, ff));
  moe.route = {config.experts, config.experts_used, config.expert_weights_norm.value_or(true), config.expert_weights_scale.value_or(1.0f)};
  moe.experts = {embd, ff, config.experts_used, moe.gate->type, moe.up->type, moe.down->type, 0, 0, 0};
  return moe;
}

// What other families do with the same keys and this one does not.
Status check_habits(const ModelConfig& config) {
  for (uint32_t i = 0; i < config.layers; ++i) {
    if (config.layer_heads[i] == config.heads && config.layer_kv_heads[i] == config.kv_heads) continue;
    return error(Code::kUnsupported, "qwen3moe with other numbers of attention heads in layer %u cannot be run", i);
  }
  if (config.expert_gating_function > kSoftmaxGating) {
    return error(Code::kUnsupported, "qwen3moe with the expert gating function %u cannot be run: softmax (%u) can", config.expert_gating_function,
                 kSoftmaxGating);
  }
  if (config.shared_experts != 0) return error(Code::kUnsupported, "qwen3moe with shared experts cannot be run");
  return ok_status();
}

}  // namespace

Result<ModelSpec> describe_qwen3moe(const GgufFile& file, const ModelConfig& config) {
  if (!config.is_moe()) return error(Code::kCorrupt, "qwen3moe without experts: qwen3moe.expert_count is missing or 0");
  HOTSET_RETURN_IF_ERROR(check_habits(config));
  HOTSET_RETURN_IF_ERROR(check_kernel_limits(config));
  const TensorFinder find(file);
  ModelSpec spec;
  spec.config = config;
  spec.embd = config.embedding;
  spec.vocab = config.vocab_size;
  spec.norm_eps = config.norm_epsilon;
  spec.rope = {config.rope_dimensions, config.rope_base, config.rope_position_scale};
  HOTSET_ASSIGN(spec.embedding, find.matrix("token_embd.weight", spec.vocab, spec.embd));
  HOTSET_ASSIGN(spec.output_norm, find.vector("output_norm.weight", spec.embd));
  spec.output = spec.embedding;
  if (find.has("output.weight")) {
    HOTSET_ASSIGN(spec.output, find.matrix("output.weight", spec.vocab, spec.embd));
  }
  for (uint32_t i = 0; i < config.layers; ++i) {
    LayerSpec layer;
    HOTSET_ASSIGN(layer.attention_norm, find.vector(layer_tensor(i, "attn_norm.weight"), spec.embd));
    HOTSET_ASSIGN(layer.attention, find_attention(find, i, config));
    HOTSET_ASSIGN(layer.ffn_norm, find.vector(layer_tensor(i, "ffn_norm.weight"), spec.embd));
    HOTSET_ASSIGN(layer.moe, find_moe(find, i, config));
    spec.layers.push_back(layer);
  }
  return spec;
}

}  // namespace hotset
