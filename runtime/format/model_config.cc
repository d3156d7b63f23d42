#include "runtime/format/model_config.h"

#include <algorithm>
#include <cmath>

namespace hotset {
namespace {

// Some ten times above the largest published models, and small enough that products of three fit 64 bits.
constexpr uint32_t kMostLayers = 4096;
constexpr uint32_t kMostHeads = 1u << 14;
constexpr uint32_t kMostExperts = 1u << 16;
constexpr uint32_t kMostWidth = 1u << 22;
constexpr uint32_t kMostTokens = 1u << 30;
constexpr uint32_t kMostVocabulary = 1u << 24;

// Reads one model's keys into a config. Each step is a group of fields of ModelConfig.
class ConfigReader {
 public:
  explicit ConfigReader(const GgufFile& file) : file_(file) {}

  Result<ModelConfig> read() {
    HOTSET_RETURN_IF_ERROR(read_general());
    HOTSET_RETURN_IF_ERROR(read_sizes());
    HOTSET_RETURN_IF_ERROR(read_attention());
    HOTSET_RETURN_IF_ERROR(read_norm());
    HOTSET_RETURN_IF_ERROR(read_rope());
    HOTSET_RETURN_IF_ERROR(read_rope_scaling());
    HOTSET_RETURN_IF_ERROR(read_feed_forward());
    HOTSET_RETURN_IF_ERROR(read_experts());
    return std::move(config_);
  }

 private:
  std::string key(const char* suffix) const { return config_.architecture + "." + suffix; }
  bool has(const char* suffix) const { return file_.find(key(suffix)) != nullptr; }

  // A whole number in [least, most]; the second form takes `absent` unchecked when the key is not there.
  Status take(const char* suffix, uint32_t least, uint32_t most, uint32_t& out) const;
  Status take_or(const char* suffix, uint32_t absent, uint32_t least, uint32_t most, uint32_t& out) const;
  // One number in [least, most] for all layers or a list of one for each. Lists may hold zeros.
  Status take_layers(const char* suffix, uint32_t least, uint32_t most, std::vector<uint32_t>& out) const;
  Status missing(const char* suffix) const;
  Status out_of_range(const char* suffix, int64_t number, uint32_t least, uint32_t most) const;

  Status read_general();
  Status read_sizes();
  Status read_vocabulary();
  Status read_attention();
  Status read_norm();
  Status read_rope();
  Status read_rope_scaling();
  Status read_feed_forward();
  Status read_experts();
  Status check_dense() const;
  Status read_expert_weights();
  bool looks_like_moe() const;

  const GgufFile& file_;
  ModelConfig config_;
};

Status ConfigReader::missing(const char* suffix) const {
  return error(Code::kNotFound, "key '%s' is missing", printable(key(suffix)).c_str());
}

Status ConfigReader::out_of_range(const char* suffix, int64_t number, uint32_t least, uint32_t most) const {
  return error(Code::kCorrupt, "key '%s' is %lld, but must be from %u to %u", printable(key(suffix)).c_str(),
               static_cast<long long>(number), least, most);
}

Status ConfigReader::take(const char* suffix, uint32_t least, uint32_t most, uint32_t& out) const {
  HOTSET_ASSIGN(out, file_.get_u32(key(suffix)));
  return out >= least && out <= most ? ok_status() : out_of_range(suffix, out, least, most);
}

Status ConfigReader::take_or(const char* suffix, uint32_t absent, uint32_t least, uint32_t most, uint32_t& out) const {
  if (has(suffix)) return take(suffix, least, most, out);
  out = absent;
  return ok_status();
}

Status ConfigReader::take_layers(const char* suffix, uint32_t least, uint32_t most, std::vector<uint32_t>& out) const {
  const GgufValue* value = file_.find(key(suffix));
  if (!value || !value->is_array()) {
    uint32_t number = 0;
    HOTSET_RETURN_IF_ERROR(take(suffix, least, most, number));
    out.assign(config_.layers, number);
    return ok_status();
  }
  HOTSET_ASSIGN(const std::vector<int64_t> numbers, value->to_ints());
  if (numbers.size() != config_.layers) {
    return error(Code::kCorrupt, "key '%s' lists %zu layers, but the model has %u", printable(key(suffix)).c_str(),
                 numbers.size(), config_.layers);
  }
  for (const int64_t number : numbers) {
    if (number < 0 || number > most) return out_of_range(suffix, number, 0, most);
    out.push_back(static_cast<uint32_t>(number));
  }
  return ok_status();
}

Status ConfigReader::read_general() {
  HOTSET_ASSIGN(config_.architecture, file_.get_string("general.architecture"));
  if (config_.architecture.empty()) return error(Code::kCorrupt, "key 'general.architecture' is empty");
  HOTSET_ASSIGN(config_.name, file_.get_string_or("general.name", ""));
  return ok_status();
}

Status ConfigReader::read_sizes() {
  HOTSET_RETURN_IF_ERROR(take("block_count", 1, kMostLayers, config_.layers));
  HOTSET_RETURN_IF_ERROR(take("embedding_length", 1, kMostWidth, config_.embedding));
  HOTSET_RETURN_IF_ERROR(take("context_length", 1, kMostTokens, config_.context_length));
  return read_vocabulary();
}

Status ConfigReader::read_vocabulary() {
  const GgufValue* tokens = file_.find("tokenizer.ggml.tokens");
  if (!tokens) return take("vocab_size", 1, kMostVocabulary, config_.vocab_size);
  if (!tokens->is_array() || tokens->element_type() != GgufType::kString) {
    return error(Code::kCorrupt, "key 'tokenizer.ggml.tokens' has the type %s, but an array of strings is expected",
                 tokens->describe_type().c_str());
  }
  if (tokens->count() == 0 || tokens->count() > kMostVocabulary) {
    return error(Code::kCorrupt, "key 'tokenizer.ggml.tokens' holds %llu tokens, but must hold 1 to %u",
                 static_cast<unsigned long long>(tokens->count()), kMostVocabulary);
  }
  config_.vocab_size = static_cast<uint32_t>(tokens->count());
  return ok_status();
}

Status ConfigReader::read_attention() {
  HOTSET_RETURN_IF_ERROR(take_layers("attention.head_count", 1, kMostHeads, config_.layer_heads));
  config_.layer_kv_heads = config_.layer_heads;
  if (has("attention.head_count_kv")) {
    config_.layer_kv_heads.clear();
    HOTSET_RETURN_IF_ERROR(take_layers("attention.head_count_kv", 1, kMostHeads, config_.layer_kv_heads));
  }
  config_.heads = *std::max_element(config_.layer_heads.begin(), config_.layer_heads.end());
  config_.kv_heads = *std::max_element(config_.layer_kv_heads.begin(), config_.layer_kv_heads.end());
  if (config_.heads == 0) return out_of_range("attention.head_count", 0, 1, kMostHeads);
  for (uint32_t i = 0; i < config_.layers; ++i) {
    const uint32_t heads = config_.layer_heads[i];
    const uint32_t kv_heads = config_.layer_kv_heads[i];
    if (kv_heads == 0 || heads % kv_heads == 0) continue;
    return error(Code::kCorrupt, "%u attention heads are not a multiple of %u key/value heads", heads, kv_heads);
  }
  const bool says_both = has("attention.key_length") && has("attention.value_length");
  if (!says_both && config_.embedding % config_.heads != 0) {
    return error(Code::kCorrupt, "an embedding of %u cannot be shared out to %u heads, and the head length is not given",
                 config_.embedding, config_.heads);
  }
  const uint32_t even_share = config_.embedding / config_.heads;
  HOTSET_RETURN_IF_ERROR(take_or("attention.key_length", even_share, 1, kMostWidth, config_.key_length));
  HOTSET_RETURN_IF_ERROR(take_or("attention.value_length", even_share, 1, kMostWidth, config_.value_length));
  return take_or("attention.sliding_window", 0, 0, kMostTokens, config_.sliding_window);
}

Status ConfigReader::read_norm() {
  config_.rms_norm = has("attention.layer_norm_rms_epsilon") || !has("attention.layer_norm_epsilon");
  const char* suffix = config_.rms_norm ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
  HOTSET_ASSIGN(config_.norm_epsilon, file_.get_f32(key(suffix)));
  if (config_.norm_epsilon >= 0 && config_.norm_epsilon < 1) return ok_status();  // false for NaN
  return error(Code::kCorrupt, "key '%s' is %g, but must be from 0 to 1", printable(key(suffix)).c_str(),
               static_cast<double>(config_.norm_epsilon));
}

Status ConfigReader::read_rope() {
  HOTSET_ASSIGN(config_.rope_base, file_.get_f32_or(key("rope.freq_base"), 10000));
  if (!(config_.rope_base > 0) || !std::isfinite(config_.rope_base)) {
    return error(Code::kCorrupt, "key '%s' is %g, but must be above 0", printable(key("rope.freq_base")).c_str(),
                 static_cast<double>(config_.rope_base));
  }
  HOTSET_RETURN_IF_ERROR(take_or("rope.dimension_count", config_.key_length, 1, config_.key_length, config_.rope_dimensions));
  if (config_.rope_dimensions % 2 == 0) return ok_status();
  return error(Code::kCorrupt, "rotary embedding turns pairs, but '%s' is %u", printable(key("rope.dimension_count")).c_str(),
               config_.rope_dimensions);
}

// Old files give a linear factor as rope.scale_linear and no type; a factor without a type is linear too.
Status ConfigReader::read_rope_scaling() {
  HOTSET_ASSIGN(const std::string_view type, file_.get_string_or(key("rope.scaling.type"), "linear"));
  config_.rope_yarn = type == "yarn";
  if (type == "none" || type == "longrope") return ok_status();
  if (type != "linear" && type != "yarn") {
    return error(Code::kUnsupported, "rope scaling '%s' is not supported yet", printable(type).c_str());
  }
  const char* suffix = has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  HOTSET_ASSIGN(const float factor, file_.get_f32_or(key(suffix), 1));
  if (!(factor >= 0) || !std::isfinite(factor)) {
    return error(Code::kCorrupt, "key '%s' is %g, but must not be below 0", printable(key(suffix)).c_str(),
                 static_cast<double>(factor));
  }
  config_.rope_position_scale = factor > 0 ? factor : 1;  // 0 stands for none
  return ok_status();
}

Status ConfigReader::read_feed_forward() {
  config_.layer_feed_forward.assign(config_.layers, 0);
  if (has("feed_forward_length")) {
    config_.layer_feed_forward.clear();
    HOTSET_RETURN_IF_ERROR(take_layers("feed_forward_length", 0, kMostWidth, config_.layer_feed_forward));
  }
  config_.feed_forward = *std::max_element(config_.layer_feed_forward.begin(), config_.layer_feed_forward.end());
  return take_or("leading_dense_block_count", 0, 0, config_.layers, config_.leading_dense_layers);
}

// A file that calls itself MoE, routes to experts or holds expert tensors must say how many there are.
bool ConfigReader::looks_like_moe() const {
  if (config_.architecture.find("moe") != std::string::npos || config_.experts_used != 0) return true;
  return std::any_of(file_.tensors().begin(), file_.tensors().end(),
                     [](const TensorInfo& tensor) { return tensor.name.find("_exps.") != std::string::npos; });
}

Status ConfigReader::check_dense() const {
  if (looks_like_moe()) {
    if (!has("expert_count")) return missing("expert_count");
    return error(Code::kCorrupt, "key '%s' is 0, but this is a model with experts", printable(key("expert_count")).c_str());
  }
  if (!has("feed_forward_length")) return missing("feed_forward_length");
  return config_.feed_forward != 0 ? ok_status() : out_of_range("feed_forward_length", 0, 1, kMostWidth);
}

Status ConfigReader::read_experts() {
  HOTSET_RETURN_IF_ERROR(take_or("expert_count", 0, 0, kMostExperts, config_.experts));
  HOTSET_RETURN_IF_ERROR(take_or("expert_used_count", 0, 0, kMostExperts, config_.experts_used));
  if (config_.experts == 0) return check_dense();
  if (!has("expert_used_count")) return missing("expert_used_count");
  if (config_.experts_used == 0) return out_of_range("expert_used_count", 0, 1, config_.experts);
  if (config_.experts_used > config_.experts) {
    return error(Code::kCorrupt, "key '%s' is %u, more than the %u experts there are",
                 printable(key("expert_used_count")).c_str(), config_.experts_used, config_.experts);
  }
  HOTSET_RETURN_IF_ERROR(
      take_or("expert_feed_forward_length", config_.feed_forward, 1, kMostWidth, config_.expert_feed_forward));
  if (config_.expert_feed_forward == 0) return missing("expert_feed_forward_length");
  HOTSET_RETURN_IF_ERROR(take_or("expert_shared_count", 0, 0, kMostExperts, config_.shared_experts));
  HOTSET_RETURN_IF_ERROR(
      take_or("expert_shared_feed_forward_length", 0, 0, kMostWidth, config_.shared_expert_feed_forward));
  return read_expert_weights();
}

Status ConfigReader::read_expert_weights() {
  if (has("expert_weights_norm")) {
    HOTSET_ASSIGN(config_.expert_weights_norm, file_.get_bool(key("expert_weights_norm")));
  }
  if (has("expert_weights_scale")) {
    HOTSET_ASSIGN(config_.expert_weights_scale, file_.get_f32(key("expert_weights_scale")));
    if (!std::isfinite(*config_.expert_weights_scale)) {
      return error(Code::kCorrupt, "key '%s' is not a finite number", printable(key("expert_weights_scale")).c_str());
    }
  }
  return take_or("expert_gating_func", 0, 0, 255, config_.expert_gating_function);
}

}  // namespace

Result<ModelConfig> read_model_config(const GgufFile& file) {
  auto config = ConfigReader(file).read();
  if (!config.ok()) return config.status().with_context("'" + file.path() + "'");
  return config;
}

}  // namespace hotset
