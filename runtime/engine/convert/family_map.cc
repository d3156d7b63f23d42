#include "runtime/engine/convert/family_map.h"

#include <cmath>

#include "runtime/format/gguf_value.h"

namespace hotset {
namespace {

#define LAYER "model.layers.{L}."

constexpr TensorRule kEnds[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};

constexpr TensorRule kAttention[] = {
    {LAYER "input_layernorm.weight", "blk.{L}.attn_norm.weight"},
    {LAYER "self_attn.q_proj.weight", "blk.{L}.attn_q.weight"},
    {LAYER "self_attn.k_proj.weight", "blk.{L}.attn_k.weight"},
    {LAYER "self_attn.v_proj.weight", "blk.{L}.attn_v.weight"},
    {LAYER "self_attn.q_proj.bias", "blk.{L}.attn_q.bias"},
    {LAYER "self_attn.k_proj.bias", "blk.{L}.attn_k.bias"},
    {LAYER "self_attn.v_proj.bias", "blk.{L}.attn_v.bias"},
    {LAYER "self_attn.o_proj.weight", "blk.{L}.attn_output.weight"},
    {LAYER "self_attn.o_proj.bias", "blk.{L}.attn_output.bias"},
    {LAYER "self_attn.q_norm.weight", "blk.{L}.attn_q_norm.weight"},
    {LAYER "self_attn.k_norm.weight", "blk.{L}.attn_k_norm.weight"},
    {LAYER "self_attn.query_layernorm.weight", "blk.{L}.attn_q_norm.weight"},
    {LAYER "self_attn.key_layernorm.weight", "blk.{L}.attn_k_norm.weight"},
    {LAYER "self_attn.sinks", "blk.{L}.attn_sinks.weight"},
};

// The engine rotates neighbours, as Meta's own files had it.
constexpr TensorRule kPairedAttention[] = {
    {LAYER "input_layernorm.weight", "blk.{L}.attn_norm.weight"},
    {LAYER "self_attn.q_proj.weight", "blk.{L}.attn_q.weight", forms::query_pairs},
    {LAYER "self_attn.k_proj.weight", "blk.{L}.attn_k.weight", forms::key_pairs},
    {LAYER "self_attn.v_proj.weight", "blk.{L}.attn_v.weight"},
    {LAYER "self_attn.q_proj.bias", "blk.{L}.attn_q.bias", forms::query_pairs},
    {LAYER "self_attn.k_proj.bias", "blk.{L}.attn_k.bias", forms::key_pairs},
    {LAYER "self_attn.v_proj.bias", "blk.{L}.attn_v.bias"},
    {LAYER "self_attn.o_proj.weight", "blk.{L}.attn_output.weight"},
    {LAYER "self_attn.o_proj.bias", "blk.{L}.attn_output.bias"},
};

constexpr TensorRule kLatentAttention[] = {
    {LAYER "input_layernorm.weight", "blk.{L}.attn_norm.weight"},
    {LAYER "self_attn.q_proj.weight", "blk.{L}.attn_q.weight"},
    {LAYER "self_attn.q_a_proj.weight", "blk.{L}.attn_q_a.weight"},
    {LAYER "self_attn.q_a_layernorm.weight", "blk.{L}.attn_q_a_norm.weight"},
    {LAYER "self_attn.q_b_proj.weight", "blk.{L}.attn_q_b.weight"},
    {LAYER "self_attn.kv_a_proj_with_mqa.weight", "blk.{L}.attn_kv_a_mqa.weight"},
    {LAYER "self_attn.kv_a_layernorm.weight", "blk.{L}.attn_kv_a_norm.weight"},
    {LAYER "self_attn.kv_b_proj.weight", "blk.{L}.attn_k_b.weight", forms::latent_keys},
    {LAYER "self_attn.kv_b_proj.weight", "blk.{L}.attn_v_b.weight", forms::latent_values},
    {LAYER "self_attn.o_proj.weight", "blk.{L}.attn_output.weight"},
};

constexpr TensorRule kSecondNorm[] = {{LAYER "post_attention_layernorm.weight", "blk.{L}.ffn_norm.weight"}};
constexpr TensorRule kSecondNormAfterAttention[] = {{LAYER "post_attention_layernorm.weight", "blk.{L}.post_attention_norm.weight"}};

constexpr TensorRule kDense[] = {
    {LAYER "mlp.gate_proj.weight", "blk.{L}.ffn_gate.weight"},
    {LAYER "mlp.up_proj.weight", "blk.{L}.ffn_up.weight"},
    {LAYER "mlp.down_proj.weight", "blk.{L}.ffn_down.weight"},
};

constexpr TensorRule kExperts[] = {
    {LAYER "mlp.gate.weight", "blk.{L}.ffn_gate_inp.weight"},
    {LAYER "mlp.gate.wg.weight", "blk.{L}.ffn_gate_inp.weight"},
    {LAYER "mlp.gate.e_score_correction_bias", "blk.{L}.exp_probs_b.bias", forms::vector},
    {LAYER "mlp.moe_statics.e_score_correction_bias", "blk.{L}.exp_probs_b.bias", forms::vector},
    {LAYER "mlp.experts.{E}.gate_proj.weight", "blk.{L}.ffn_gate_exps.weight"},
    {LAYER "mlp.experts.{E}.up_proj.weight", "blk.{L}.ffn_up_exps.weight"},
    {LAYER "mlp.experts.{E}.down_proj.weight", "blk.{L}.ffn_down_exps.weight"},
    {LAYER "mlp.experts.gate_up_proj", "blk.{L}.ffn_gate_exps.weight", forms::first_half},
    {LAYER "mlp.experts.gate_up_proj", "blk.{L}.ffn_up_exps.weight", forms::second_half},
    {LAYER "mlp.experts.down_proj", "blk.{L}.ffn_down_exps.weight"},
    {LAYER "mlp.shared_expert_gate.weight", "blk.{L}.ffn_gate_inp_shexp.weight", forms::vector},
    {LAYER "mlp.shared_expert.gate_proj.weight", "blk.{L}.ffn_gate_shexp.weight"},
    {LAYER "mlp.shared_expert.up_proj.weight", "blk.{L}.ffn_up_shexp.weight"},
    {LAYER "mlp.shared_expert.down_proj.weight", "blk.{L}.ffn_down_shexp.weight"},
    {LAYER "mlp.shared_experts.gate_proj.weight", "blk.{L}.ffn_gate_shexp.weight"},
    {LAYER "mlp.shared_experts.up_proj.weight", "blk.{L}.ffn_up_shexp.weight"},
    {LAYER "mlp.shared_experts.down_proj.weight", "blk.{L}.ffn_down_shexp.weight"},
    {LAYER "mlp.shared_mlp.gate_proj.weight", "blk.{L}.ffn_gate_shexp.weight"},
    {LAYER "mlp.shared_mlp.up_proj.weight", "blk.{L}.ffn_up_shexp.weight"},
    {LAYER "mlp.shared_mlp.down_proj.weight", "blk.{L}.ffn_down_shexp.weight"},
};

constexpr TensorRule kSparseExperts[] = {
    {LAYER "block_sparse_moe.gate.weight", "blk.{L}.ffn_gate_inp.weight"},
    {LAYER "block_sparse_moe.e_score_correction_bias", "blk.{L}.exp_probs_b.bias", forms::vector},
    {LAYER "block_sparse_moe.experts.{E}.w1.weight", "blk.{L}.ffn_gate_exps.weight"},
    {LAYER "block_sparse_moe.experts.{E}.w3.weight", "blk.{L}.ffn_up_exps.weight"},
    {LAYER "block_sparse_moe.experts.{E}.w2.weight", "blk.{L}.ffn_down_exps.weight"},
};

constexpr TensorRule kGptOssExperts[] = {
    {LAYER "mlp.router.weight", "blk.{L}.ffn_gate_inp.weight"},
    {LAYER "mlp.router.bias", "blk.{L}.ffn_gate_inp.bias"},
    {LAYER "mlp.experts.gate_up_proj", "blk.{L}.ffn_gate_exps.weight", forms::even_rows},
    {LAYER "mlp.experts.gate_up_proj", "blk.{L}.ffn_up_exps.weight", forms::odd_rows},
    {LAYER "mlp.experts.down_proj", "blk.{L}.ffn_down_exps.weight", forms::down_rows},
    {LAYER "mlp.experts.gate_up_proj_bias", "blk.{L}.ffn_gate_exps.bias", forms::even_rows},
    {LAYER "mlp.experts.gate_up_proj_bias", "blk.{L}.ffn_up_exps.bias", forms::odd_rows},
    {LAYER "mlp.experts.down_proj_bias", "blk.{L}.ffn_down_exps.bias"},
};

// Norms are kept as their distance from 1.
constexpr TensorRule kQwenHybridEnds[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight", forms::plus_one},
    {"lm_head.weight", "output.weight"},
};

constexpr TensorRule kQwenHybridAttention[] = {
    {LAYER "input_layernorm.weight", "blk.{L}.attn_norm.weight", forms::plus_one},
    {LAYER "post_attention_layernorm.weight", "blk.{L}.post_attention_norm.weight", forms::plus_one},
    {LAYER "self_attn.q_proj.weight", "blk.{L}.attn_q.weight"},
    {LAYER "self_attn.k_proj.weight", "blk.{L}.attn_k.weight"},
    {LAYER "self_attn.v_proj.weight", "blk.{L}.attn_v.weight"},
    {LAYER "self_attn.o_proj.weight", "blk.{L}.attn_output.weight"},
    {LAYER "self_attn.q_norm.weight", "blk.{L}.attn_q_norm.weight", forms::plus_one},
    {LAYER "self_attn.k_norm.weight", "blk.{L}.attn_k_norm.weight", forms::plus_one},
    {LAYER "linear_attn.norm.weight", "blk.{L}.ssm_norm.weight"},
};

constexpr TensorRule kQwen3NextMixer[] = {
    {LAYER "linear_attn.in_proj_qkvz.weight", "blk.{L}.attn_qkv.weight", forms::joined_qkv},
    {LAYER "linear_attn.in_proj_qkvz.weight", "blk.{L}.attn_gate.weight", forms::joined_gate},
    {LAYER "linear_attn.in_proj_ba.weight", "blk.{L}.ssm_ba.weight"},
    {LAYER "linear_attn.conv1d.weight", "blk.{L}.ssm_conv1d.weight", forms::matrix},
    {LAYER "linear_attn.dt_bias", "blk.{L}.ssm_dt.bias", forms::vector},
    {LAYER "linear_attn.A_log", "blk.{L}.ssm_a", forms::minus_exp},
    {LAYER "linear_attn.out_proj.weight", "blk.{L}.ssm_out.weight"},
};

constexpr TensorRule kQwen35Mixer[] = {
    {LAYER "linear_attn.in_proj_qkv.weight", "blk.{L}.attn_qkv.weight", forms::tiled_qkv},
    {LAYER "linear_attn.in_proj_z.weight", "blk.{L}.attn_gate.weight", forms::tiled_rows},
    {LAYER "linear_attn.in_proj_b.weight", "blk.{L}.ssm_beta.weight", forms::tiled_rows},
    {LAYER "linear_attn.in_proj_a.weight", "blk.{L}.ssm_alpha.weight", forms::tiled_rows},
    {LAYER "linear_attn.conv1d.weight", "blk.{L}.ssm_conv1d.weight", forms::tiled_qkv},
    {LAYER "linear_attn.dt_bias", "blk.{L}.ssm_dt.bias", forms::tiled_rows},
    {LAYER "linear_attn.A_log", "blk.{L}.ssm_a", forms::tiled_minus_exp},
    {LAYER "linear_attn.out_proj.weight", "blk.{L}.ssm_out.weight", forms::tiled_columns},
};

#undef LAYER

Status copy_count(const HfConfig& config, const char* names, const char* key, Metadata& metadata) {
  if (const auto count = config.count(names)) metadata.set(key, *count);
  return ok_status();
}

Status missing(const char* name) { return error(Code::kCorrupt, "config.json: %s is missing or no number", name); }

// One key head of latent vectors, as the split kv_b wants it.
Status adjust_latent(const HfConfig& config, Metadata& metadata) {
  const auto latent = config.count("kv_lora_rank"), turning = config.count("qk_rope_head_dim"), plain = config.count("qk_nope_head_dim");
  const auto value = config.count("v_head_dim");
  if (!latent || !turning || !plain || !value) return missing("kv_lora_rank, qk_rope_head_dim, qk_nope_head_dim or v_head_dim");
  if (*latent > 1u << 20 || *turning > 1u << 20 || *plain > 1u << 20) return error(Code::kCorrupt, "config.json: these sizes of latent attention are absurd");
  metadata.set("attention.head_count_kv", 1u);
  metadata.set("attention.kv_lora_rank", *latent);
  metadata.set("attention.key_length", *latent + *turning);
  metadata.set("attention.value_length", *latent);
  metadata.set("attention.key_length_mla", *plain + *turning);
  metadata.set("attention.value_length_mla", *value);
  metadata.set("rope.dimension_count", *turning);
  HOTSET_RETURN_IF_ERROR(copy_count(config, "q_lora_rank", "attention.q_lora_rank", metadata));
  const auto all = config.rope_real("mscale_all_dim");
  if (all && config.rope_type() == "yarn") metadata.set("rope.scaling.yarn_log_multiplier", 0.1f * *all);
  return ok_status();
}

Status adjust_expert_width(const HfConfig& config, Metadata& metadata) {
  return copy_count(config, "intermediate_size", "expert_feed_forward_length", metadata);
}

Status adjust_gpt_oss(const HfConfig& config, Metadata& metadata) {
  HOTSET_RETURN_IF_ERROR(copy_count(config, "sliding_window", "attention.sliding_window", metadata));
  return adjust_expert_width(config, metadata);
}

Status adjust_mixtral(const HfConfig& config, Metadata& metadata) {
  metadata.set("rope.dimension_count", config.count("head_dim").value_or(config.count("hidden_size").value_or(0) / std::max(1u, config.count("num_attention_heads").value_or(1))));
  return config.count("sliding_window") ? error(Code::kUnsupported, "a sliding window in a llama-like model is not converted") : ok_status();
}

Status adjust_glm4_moe(const HfConfig& config, Metadata& metadata) {
  metadata.set("expert_gating_func", 2u);
  if (!metadata.count("rope.dimension_count")) metadata.set("rope.dimension_count", config.count("head_dim").value_or(0) / 2);
  return ok_status();
}

Status adjust_minimax_m2(const HfConfig& config, Metadata& metadata) {
  metadata.set("expert_gating_func", 2u);
  HOTSET_RETURN_IF_ERROR(copy_count(config, "rotary_dim", "rope.dimension_count", metadata));
  return adjust_expert_width(config, metadata);
}

// Experts in every layer, or a plain network in all of them.
Status adjust_qwen_moe(const HfConfig& config, Metadata&) {
  const nlohmann::json* dense = config.find("mlp_only_layers");
  const bool mixed = dense && dense->is_array() && !dense->empty();
  if (!mixed && config.count("decoder_sparse_step").value_or(1) == 1) return ok_status();
  return error(Code::kUnsupported, "layers without experts between those with them are not converted");
}

Status adjust_qwen_hybrid(const HfConfig& config, Metadata& metadata) {
  const auto key_dim = config.count("linear_key_head_dim"), key_heads = config.count("linear_num_key_heads");
  const auto value_dim = config.count("linear_value_head_dim"), value_heads = config.count("linear_num_value_heads");
  const auto kernel = config.count("linear_conv_kernel_dim");
  if (!key_dim || !key_heads || !value_dim || !value_heads || !kernel) return missing("one of the linear attention's sizes");
  metadata.set("ssm.conv_kernel", *kernel);
  metadata.set("ssm.state_size", *key_dim);
  metadata.set("ssm.group_count", *key_heads);
  metadata.set("ssm.time_step_rank", *value_heads);
  metadata.set("ssm.inner_size", static_cast<uint32_t>(uint64_t{*value_dim} * *value_heads));
  metadata.set("full_attention_interval", config.count("full_attention_interval").value_or(4));
  if (!metadata.count("rope.dimension_count")) metadata.set("rope.dimension_count", config.count("head_dim").value_or(256) / 4);
  return adjust_qwen_moe(config, metadata);
}

Status adjust_ernie(const HfConfig& config, Metadata& metadata) {
  return copy_count(config, "moe_layer_interval", "interleave_moe_layer_step", metadata);
}

// Positions are stretched by raising the base once, which is how the model was trained for its full length.
Status adjust_hunyuan(const HfConfig& config, Metadata& metadata) {
  const float alpha = config.rope_real("alpha").value_or(0);
  const auto head_dim = static_cast<float>(config.count("head_dim|attention_head_dim").value_or(128));
  if (config.rope_type() == "dynamic" && alpha > 0 && head_dim > 2) {
    metadata.set("rope.freq_base", config.real("rope_theta").value_or(10000) * std::pow(alpha, head_dim / (head_dim - 2)));
  }
  return ok_status();
}

constexpr FamilyMap kFamilies[] = {
    {"qwen3_moe", "qwen3moe", {kEnds, kAttention, kSecondNorm, kExperts}, adjust_qwen_moe},
    {"qwen2_moe", "qwen2moe", {kEnds, kAttention, kSecondNorm, kExperts}, adjust_qwen_moe},
    {"olmoe", "olmoe", {kEnds, kAttention, kSecondNorm, kExperts}, adjust_expert_width},
    {"mixtral", "llama", {kEnds, kPairedAttention, kSecondNorm, kSparseExperts}, adjust_mixtral},
    {"llama|mistral", "llama", {kEnds, kPairedAttention, kSecondNorm, kDense}, adjust_mixtral},
    {"qwen3", "qwen3", {kEnds, kAttention, kSecondNorm, kDense}},
    {"qwen2", "qwen2", {kEnds, kAttention, kSecondNorm, kDense}},
    {"gpt_oss", "gpt-oss", {kEnds, kAttention, kSecondNormAfterAttention, kGptOssExperts}, adjust_gpt_oss},
    {"deepseek_v2|deepseek_v3|kimi_k2", "deepseek2", {kEnds, kLatentAttention, kSecondNorm, kDense, kExperts}, adjust_latent},
    {"deepseek", "deepseek", {kEnds, kPairedAttention, kSecondNorm, kDense, kExperts}},
    {"glm4_moe", "glm4moe", {kEnds, kAttention, kSecondNormAfterAttention, kDense, kExperts}, adjust_glm4_moe},
    {"dots1", "dots1", {kEnds, kAttention, kSecondNorm, kDense, kExperts}},
    {"minimax_m2", "minimax-m2", {kEnds, kAttention, kSecondNorm, kSparseExperts}, adjust_minimax_m2},
    {"ernie4_5_moe", "ernie4_5-moe", {kEnds, kAttention, kSecondNorm, kDense, kExperts}, adjust_ernie},
    {"hunyuan_v1_moe|hunyuan", "hunyuan-moe", {kEnds, kAttention, kSecondNorm, kExperts}, adjust_hunyuan},
    {"qwen3_next", "qwen3next", {kQwenHybridEnds, kQwenHybridAttention, kQwen3NextMixer, kDense, kExperts}, adjust_qwen_hybrid},
    {"qwen3_5_moe|qwen3_5_moe_text", "qwen35moe", {kQwenHybridEnds, kQwenHybridAttention, kQwen35Mixer, kDense, kExperts}, adjust_qwen_hybrid},
    {"qwen3_5|qwen3_5_text", "qwen35", {kQwenHybridEnds, kQwenHybridAttention, kQwen35Mixer, kDense}, adjust_qwen_hybrid},
};

bool names(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find('|'));
    if (name == word) return true;
    list.remove_prefix(std::min(name.size() + 1, list.size()));
  }
  return false;
}

}  // namespace

Result<const FamilyMap*> find_family_map(const HfConfig& config) {
  std::string known;
  for (const FamilyMap& family : kFamilies) {
    if (names(family.model_types, config.model_type()) || names(family.model_types, config.text_model_type())) return &family;
    std::string types = family.model_types;
    for (size_t at = types.find('|'); at != std::string::npos; at = types.find('|')) types.replace(at, 1, ", ");
    known += (known.empty() ? "" : ", ") + types;
  }
  return error(Code::kUnsupported, "models of the type '%s' cannot be converted yet; these can: %s", printable(config.model_type()).c_str(), known.c_str());
}

std::string name_of(std::string_view pattern, uint64_t layer, uint64_t expert) {
  std::string name;
  while (!pattern.empty()) {
    const size_t brace = pattern.find('{');
    name += pattern.substr(0, brace);
    if (brace == std::string_view::npos) break;
    name += std::to_string(pattern[brace + 1] == 'L' ? layer : expert);
    pattern.remove_prefix(brace + 3);
  }
  return name;
}

}  // namespace hotset
