#include "runtime/engine/convert/conversion_plan.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <unordered_map>
#include <unordered_set>

#include "runtime/format/gguf_value.h"

namespace hotset {
namespace {

constexpr uint32_t kMostLayers = 4096;
constexpr uint32_t kMostExperts = 1u << 16;

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Names as a model of text alone has them.
std::string plain_name(std::string_view name) {
  for (const auto& [from, to] : {std::pair("language_model.model.", "model."), std::pair("model.language_model.", "model."),
                                 std::pair("language_model.lm_head.", "lm_head."), std::pair("model.lm_head.", "lm_head.")}) {
    if (name.starts_with(from)) return to + std::string(name.substr(std::string_view(from).size()));
  }
  return std::string(name);
}

// The layer that a name speaks of; nullopt where it speaks of none.
std::optional<uint32_t> layer_of(std::string_view name) {
  constexpr std::string_view kBegin = "model.layers.";
  if (!name.starts_with(kBegin)) return std::nullopt;
  uint32_t layer = 0;
  const auto [end, ec] = std::from_chars(name.data() + kBegin.size(), name.data() + name.size(), layer);
  return ec == std::errc() && *end == '.' ? std::optional<uint32_t>(layer) : std::nullopt;
}

bool may_be_left_out(const std::string& name, uint32_t layers, bool tied) {
  if (layer_of(name).value_or(0) >= layers) return true;  // prediction layers
  if (tied && name == "lm_head.weight") return true;
  for (const char* part : {"visual.", "vision_", "vision.", "mm_projector", "multi_modal_projector", "audio_", "rotary_emb."}) {
    if (holds(name, part)) return true;
  }
  for (const char* end : {".input_scale", ".output_scale", ".k_scale", ".v_scale"}) {
    if (name.ends_with(end)) return true;
  }
  return name.starts_with("mtp.") || name.starts_with("model.mtp.");
}

bool stays_float(const PlannedTensor& tensor) {
  if (tensor.dims.size() == 1 || tensor.name.ends_with(".bias")) return true;
  for (const char* part : {"ffn_gate_inp", "_norm.", "ssm_conv1d", "ssm_a"}) {
    if (holds(tensor.name, part)) return true;
  }
  return false;
}

// The first that rows of the tensor are whole blocks of.
BlockType first_fitting(const PlannedTensor& tensor, std::initializer_list<BlockType> types) {
  for (const BlockType type : types) {
    if (tensor.dims[0] % block_elements(type) == 0) return type;
  }
  return BlockType::kF16;
}

BlockType type_for(const PlannedTensor& tensor, BlockType wanted) {
  if (stays_float(tensor)) return BlockType::kF32;
  if (block_elements(wanted) == 1) return wanted;
  const bool is_end = tensor.name == "token_embd.weight" || tensor.name == "output.weight";
  if (is_end && wanted != BlockType::kQ8_0) return first_fitting(tensor, {BlockType::kQ6_K, BlockType::kQ8_0});
  if (wanted == BlockType::kMXFP4 && !holds(tensor.name, "_exps.")) return first_fitting(tensor, {BlockType::kQ8_0});
  return first_fitting(tensor, {wanted, BlockType::kQ8_0});
}

// Fills one plan from one checkpoint.
class Planner {
 public:
  Planner(const HfConfig& config, const WeightCatalog& weights, BlockType wanted, const FamilyMap& family, ConversionPlan& plan)
      : config_(config), weights_(weights), wanted_(wanted), family_(family), sizes_(form_sizes(config)), plan_(plan) {}

  Status run() {
    HOTSET_RETURN_IF_ERROR(take_sizes());
    HOTSET_RETURN_IF_ERROR(index_names());
    HOTSET_RETURN_IF_ERROR(add_rope_factors());
    HOTSET_RETURN_IF_ERROR(apply_rules(false, 0));
    for (uint32_t layer = 0; layer < layers_; ++layer) HOTSET_RETURN_IF_ERROR(apply_rules(true, layer));
    HOTSET_RETURN_IF_ERROR(check_all_used());
    return take_vocabulary();
  }

 private:
  Status take_sizes();
  Status index_names();
  Status add_rope_factors();
  Status apply_rules(bool in_layer, uint32_t layer);
  Status apply(const TensorRule& rule, uint32_t layer);
  Status add_experts(const TensorRule& rule, uint32_t layer, PlannedTensor& tensor);
  Status finish(PlannedTensor tensor);
  Status check_all_used();
  Status take_vocabulary();
  const StoredWeight* use(const std::string& name);

  const HfConfig& config_;
  const WeightCatalog& weights_;
  const BlockType wanted_;
  const FamilyMap& family_;
  const FormSizes sizes_;
  ConversionPlan& plan_;
  bool tied_ = false;
  uint32_t layers_ = 0;
  uint32_t experts_ = 0;
  std::unordered_map<std::string, const StoredWeight*> by_name_;
  std::unordered_set<const StoredWeight*> used_;
  std::unordered_set<std::string> made_;
};

Status Planner::take_sizes() {
  layers_ = plan_.metadata.count("block_count").value_or(0);
  experts_ = plan_.metadata.count("expert_count").value_or(0);
  tied_ = config_.flag("tie_word_embeddings").value_or(false);
  if (layers_ == 0 || layers_ > kMostLayers) return error(Code::kCorrupt, "config.json: num_hidden_layers is missing or absurd");
  return experts_ <= kMostExperts ? ok_status() : error(Code::kCorrupt, "config.json: %u experts are absurd", experts_);
}

Status Planner::index_names() {
  for (const StoredWeight& weight : weights_.weights()) {
    if (by_name_.emplace(plain_name(weight.name()), &weight).second) continue;
    return error(Code::kCorrupt, "the weights '%s' are there twice, under two names", printable(weight.name()).c_str());
  }
  return ok_status();
}

const StoredWeight* Planner::use(const std::string& name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return nullptr;
  used_.insert(found->second);
  return found->second;
}

// Llama 3.1 and later turn the slow dimensions more slowly still; the factors are a tensor.
Status Planner::add_rope_factors() {
  if (config_.rope_type() != "llama3") return ok_status();
  const double base = static_cast<double>(config_.rope_real("rope_theta").value_or(config_.real("rope_theta").value_or(10000)));
  const uint64_t dim = config_.count("head_dim").value_or(static_cast<uint32_t>(config_.count("hidden_size").value_or(0) / std::max<uint64_t>(1, sizes_.heads)));
  if (dim < 2 || dim > 65536) return error(Code::kCorrupt, "config.json: heads of %llu values cannot be rotated", static_cast<unsigned long long>(dim));
  const double factor = static_cast<double>(config_.rope_real("factor").value_or(8));
  const double low = static_cast<double>(config_.rope_real("low_freq_factor").value_or(1));
  const double high = static_cast<double>(config_.rope_real("high_freq_factor").value_or(4));
  const double context = static_cast<double>(config_.rope_real("original_max_position_embeddings").value_or(8192));
  PlannedTensor tensor;
  tensor.name = "rope_freqs.weight";
  for (uint64_t i = 0; i < dim / 2; ++i) {
    const double wave = 2 * std::numbers::pi * std::pow(base, 2 * static_cast<double>(i) / static_cast<double>(dim));
    const double smooth = std::clamp((context / wave - low) / (high - low), 0.0, 1.0);
    tensor.values.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
  }
  tensor.dims = {tensor.values.size()};
  return finish(std::move(tensor));
}

Status Planner::apply_rules(bool in_layer, uint32_t layer) {
  for (const auto& rules : family_.rules) {
    for (const TensorRule& rule : rules) {
      if (holds(rule.from, "{L}") == in_layer) HOTSET_RETURN_IF_ERROR(apply(rule, layer));
    }
  }
  return ok_status();
}

Status Planner::apply(const TensorRule& rule, uint32_t layer) {
  PlannedTensor tensor;
  tensor.name = name_of(rule.to, layer, 0);
  if (tied_ && tensor.name == "output.weight") return ok_status();
  const StoredWeight* weight = use(name_of(rule.from, layer, 0));
  if (weight == nullptr) return ok_status();
  if (holds(rule.from, "{E}")) HOTSET_RETURN_IF_ERROR(add_experts(rule, layer, tensor));
  else HOTSET_RETURN_IF_ERROR(rule.form(sizes_, *weight, tensor));
  return finish(std::move(tensor));
}

Status Planner::add_experts(const TensorRule& rule, uint32_t layer, PlannedTensor& tensor) {
  for (uint32_t expert = 0; expert < experts_; ++expert) {
    const std::string name = name_of(rule.from, layer, expert);
    const StoredWeight* weight = use(name);
    if (weight == nullptr) return error(Code::kNotFound, "the weights '%s' are missing", name.c_str());
    HOTSET_RETURN_IF_ERROR(rule.form(sizes_, *weight, tensor));
    if (tensor.pieces.back().rows == tensor.pieces[0].rows) continue;
    return error(Code::kCorrupt, "the weights '%s' have another shape than those of expert 0", name.c_str());
  }
  tensor.dims.push_back(experts_);
  return ok_status();
}

Status Planner::finish(PlannedTensor tensor) {
  tensor.type = type_for(tensor, wanted_);
  HOTSET_RETURN_IF_ERROR(check_planned(tensor));
  if (!made_.insert(tensor.name).second) return error(Code::kCorrupt, "two weights claim to be the tensor '%s'", tensor.name.c_str());
  plan_.tensors.push_back(std::move(tensor));
  return ok_status();
}

// Leaving a weight out that the model needs would make another model of it.
Status Planner::check_all_used() {
  for (const auto& [name, weight] : by_name_) {
    if (used_.count(weight) != 0) continue;
    if (!may_be_left_out(name, layers_, tied_)) {
      return error(Code::kUnsupported, "the weights '%s' have no place in a model of the type '%s' as it is known here", printable(name).c_str(),
                   printable(config_.model_type()).c_str());
    }
    ++plan_.ignored;
  }
  return ok_status();
}

Status Planner::take_vocabulary() {
  for (const PlannedTensor& tensor : plan_.tensors) {
    if (tensor.name == "token_embd.weight" && tensor.dims.size() == 2 && tensor.dims[1] < 1u << 24) plan_.vocab_size = static_cast<uint32_t>(tensor.dims[1]);
  }
  if (plan_.vocab_size == 0) return error(Code::kNotFound, "the checkpoint has no embedding (model.embed_tokens.weight)");
  plan_.metadata.set("vocab_size", plan_.vocab_size);
  return ok_status();
}

}  // namespace

Result<ConversionPlan> plan_conversion(const HfConfig& config, const WeightCatalog& weights, BlockType wanted) {
  HOTSET_ASSIGN(const FamilyMap* family, find_family_map(config));
  HOTSET_ASSIGN(Metadata metadata, common_metadata(config, family->architecture));
  if (family->adjust != nullptr) HOTSET_RETURN_IF_ERROR(family->adjust(config, metadata));
  ConversionPlan plan = {family->architecture, std::move(metadata), {}, 0, 0};
  HOTSET_RETURN_IF_ERROR(Planner(config, weights, wanted, *family, plan).run());
  return plan;
}

BlockType natural_type(const WeightCatalog& weights) {
  const auto has = [&](StoredWeight::Form form) {
    return std::any_of(weights.weights().begin(), weights.weights().end(), [&](const StoredWeight& weight) { return weight.form() == form; });
  };
  if (has(StoredWeight::Form::kMxfp4)) return BlockType::kMXFP4;
  return has(StoredWeight::Form::kInt4) ? BlockType::kQ4_0 : BlockType::kQ8_0;
}

}  // namespace hotset
