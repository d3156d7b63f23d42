#include "runtime/engine/convert/metadata.h"

#include <algorithm>
#include <cmath>

#include "runtime/format/gguf_value.h"

namespace hotset {
namespace {

enum class Kind { kCount, kReal, kFlag };

struct Rule {
  const char* key;
  Kind kind;
  const char* names;  // in config.json, the first that is there
};

constexpr Rule kRules[] = {
    {"block_count", Kind::kCount, "num_hidden_layers|n_layers|num_layers"},
    {"context_length", Kind::kCount, "max_position_embeddings|max_sequence_length|model_max_length"},
    {"embedding_length", Kind::kCount, "hidden_size"},
    {"feed_forward_length", Kind::kCount, "intermediate_size"},
    {"attention.head_count", Kind::kCount, "num_attention_heads"},
    {"attention.head_count_kv", Kind::kCount, "num_key_value_heads"},
    {"attention.layer_norm_rms_epsilon", Kind::kReal, "rms_norm_eps|norm_eps"},
    {"attention.key_length", Kind::kCount, "head_dim"},
    {"attention.value_length", Kind::kCount, "head_dim"},
    {"expert_count", Kind::kCount, "num_local_experts|num_experts|n_routed_experts|moe_num_experts"},
    {"expert_used_count", Kind::kCount, "num_experts_per_tok|num_experts_per_token|moe_k|moe_topk"},
    {"expert_feed_forward_length", Kind::kCount, "moe_intermediate_size"},
    {"expert_shared_feed_forward_length", Kind::kCount, "shared_expert_intermediate_size"},
    {"expert_shared_count", Kind::kCount, "n_shared_experts|moe_num_shared_experts|num_shared_expert"},
    {"expert_group_count", Kind::kCount, "n_group"},
    {"expert_group_used_count", Kind::kCount, "topk_group"},
    {"expert_weights_scale", Kind::kReal, "routed_scaling_factor"},
    {"expert_weights_norm", Kind::kFlag, "norm_topk_prob"},
    {"leading_dense_block_count", Kind::kCount, "first_k_dense_replace|moe_layer_start_index"},
    {"vocab_size", Kind::kCount, "vocab_size"},
};

void take(const HfConfig& config, const Rule& rule, Metadata& out) {
  if (rule.kind == Kind::kCount) {
    if (const auto count = config.count(rule.names)) out.set(rule.key, *count);
  } else if (rule.kind == Kind::kReal) {
    if (const auto real = config.real(rule.names)) out.set(rule.key, *real);
  } else if (const auto flag = config.flag(rule.names)) {
    out.set(rule.key, *flag);
  }
}

Status take_gating(const HfConfig& config, Metadata& out) {
  const auto word = config.word("scoring_func|score_function|score_func");
  if (!word) return ok_status();
  if (*word != "softmax" && *word != "sigmoid") return error(Code::kUnsupported, "experts scored by '%s' are not known", printable(*word).c_str());
  out.set("expert_gating_func", *word == "softmax" ? 1u : 2u);
  return ok_status();
}

// HF gives the whole magnitude; files give what comes on top of YaRN's own.
void take_yarn(const HfConfig& config, float factor, Metadata& out) {
  const auto original = config.rope_real("original_max_position_embeddings");
  const float context = original.value_or(config.real("original_max_position_embeddings|max_position_embeddings").value_or(4096));
  out.set("rope.scaling.original_context_length", static_cast<uint32_t>(std::clamp(context, 1.0f, 1e9f)));
  if (const auto magnitude = config.rope_real("attention_factor")) {
    out.set("rope.scaling.attn_factor", *magnitude / (1 + 0.1f * std::log(std::max(factor, 1.0f))));
  }
  if (const auto fast = config.rope_real("beta_fast")) out.set("rope.scaling.yarn_beta_fast", *fast);
  if (const auto slow = config.rope_real("beta_slow")) out.set("rope.scaling.yarn_beta_slow", *slow);
}

Status take_rope(const HfConfig& config, Metadata& out) {
  const auto base = config.real("rope_theta");
  if (const auto theta = base ? base : config.rope_real("rope_theta")) out.set("rope.freq_base", *theta);
  const std::string type = config.rope_type();
  if (type.empty() || type == "llama3" || type == "dynamic") return ok_status();  // by a tensor of factors, or by the family
  if (type != "linear" && type != "yarn") return error(Code::kUnsupported, "positions scaled by '%s' are not converted", printable(type).c_str());
  const float factor = config.rope_real("factor").value_or(1);
  out.set("rope.scaling.type", type);
  out.set("rope.scaling.factor", factor);
  if (type == "yarn") take_yarn(config, factor, out);
  return ok_status();
}

void write_value(GgufWriter& writer, const std::string& key, const Metadata::Value& value) {
  if (const auto* count = std::get_if<uint32_t>(&value)) writer.add_u32(key, *count);
  else if (const auto* real = std::get_if<float>(&value)) writer.add_f32(key, *real);
  else if (const auto* flag = std::get_if<bool>(&value)) writer.add_bool(key, *flag);
  else if (const auto* text = std::get_if<std::string>(&value)) writer.add_string(key, *text);
  else writer.add_bools(key, std::get<std::vector<bool>>(value));
}

}  // namespace

void Metadata::set(std::string_view key, Value value) {
  for (auto& [own, old] : values_) {
    if (own != key) continue;
    old = std::move(value);
    return;
  }
  values_.emplace_back(key, std::move(value));
}

void Metadata::drop(std::string_view key) {
  std::erase_if(values_, [&](const auto& entry) { return entry.first == key; });
}

std::optional<uint32_t> Metadata::count(std::string_view key) const {
  for (const auto& [own, value] : values_) {
    if (own == key && std::holds_alternative<uint32_t>(value)) return std::get<uint32_t>(value);
  }
  return std::nullopt;
}

void Metadata::write(GgufWriter& writer) const {
  for (const auto& [key, value] : values_) write_value(writer, architecture_ + "." + key, value);
}

Result<Metadata> common_metadata(const HfConfig& config, const std::string& architecture) {
  Metadata metadata(architecture);
  for (const Rule& rule : kRules) take(config, rule, metadata);
  const auto part = config.real("partial_rotary_factor");
  const auto heads = config.count("num_attention_heads");
  const auto hidden = config.count("hidden_size");
  const uint32_t even_share = heads.value_or(0) != 0 ? hidden.value_or(0) / *heads : 0;
  const float share = part ? *part : config.rope_real("partial_rotary_factor").value_or(1);
  if (share > 0 && share < 1) metadata.set("rope.dimension_count", static_cast<uint32_t>(static_cast<float>(config.count("head_dim").value_or(even_share)) * share));
  HOTSET_RETURN_IF_ERROR(take_gating(config, metadata));
  HOTSET_RETURN_IF_ERROR(take_rope(config, metadata));
  return metadata;
}

}  // namespace hotset
