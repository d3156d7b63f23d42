#include "runtime/engine/convert/hf_config.h"

#include <cmath>

#include "runtime/format/json_document.h"

namespace hotset {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxConfigBytes = 16u << 20;

std::string word_of(const Json& object, const char* name) {
  const Json* word = json_member(object, name);
  return word && word->is_string() ? word->get<std::string>() : "";
}

std::optional<uint32_t> count_of(const Json& value) {
  if (value.is_number_unsigned() && value.get<uint64_t>() <= UINT32_MAX) return static_cast<uint32_t>(value.get<uint64_t>());
  if (!value.is_array() || value.empty()) return std::nullopt;
  for (const Json& item : value) {
    if (item != value[0]) return std::nullopt;
  }
  return value[0].is_array() ? std::nullopt : count_of(value[0]);
}

std::optional<float> real_of(const Json* value) {
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const auto number = static_cast<float>(value->get<double>());
  return std::isfinite(number) ? std::optional<float>(number) : std::nullopt;
}

}  // namespace

Result<HfConfig> HfConfig::read(const Checkpoint& checkpoint) {
  HfConfig config;
  HOTSET_ASSIGN(config.text_, checkpoint.text("config.json", kMaxConfigBytes));
  if (config.text_.empty()) return error(Code::kNotFound, "'%s' has no config.json", checkpoint.folder().c_str());
  auto document = parse_json(config.text_);
  if (!document.ok()) return document.status().with_context("config.json");
  config.document_ = std::move(document).value();
  config.model_type_ = word_of(config.document_, "model_type");
  if (const Json* text = json_member(config.document_, "text_config")) config.text_model_type_ = word_of(*text, "model_type");
  if (config.model_type_.empty()) return error(Code::kCorrupt, "config.json: it names no model_type");
  return config;
}

const Json* HfConfig::find(std::string_view names) const {
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find('|'));
    names.remove_prefix(std::min(name.size() + 1, names.size()));
    const Json* text = json_member(document_, "text_config");
    if (const Json* value = text ? json_member(*text, name) : nullptr) return value;
    if (const Json* value = json_member(document_, name)) return value;
  }
  return nullptr;
}

std::optional<uint32_t> HfConfig::count(std::string_view names) const {
  const Json* value = find(names);
  return value ? count_of(*value) : std::nullopt;
}

std::optional<float> HfConfig::real(std::string_view names) const { return real_of(find(names)); }

std::optional<bool> HfConfig::flag(std::string_view names) const {
  const Json* value = find(names);
  return value && value->is_boolean() ? std::optional<bool>(value->get<bool>()) : std::nullopt;
}

std::optional<std::string> HfConfig::word(std::string_view names) const {
  const Json* value = find(names);
  return value && value->is_string() ? std::optional<std::string>(value->get<std::string>()) : std::nullopt;
}

const Json* HfConfig::rope(std::string_view name) const {
  for (const char* part : {"rope_parameters", "rope_scaling"}) {
    const Json* parameters = find(part);
    if (const Json* value = parameters ? json_member(*parameters, name) : nullptr) return value;
  }
  return nullptr;
}

std::optional<float> HfConfig::rope_real(std::string_view name) const { return real_of(rope(name)); }

std::string HfConfig::rope_type() const {
  for (const char* name : {"rope_type", "type"}) {
    const Json* type = rope(name);
    if (type == nullptr || !type->is_string()) continue;
    const auto& word = type->get_ref<const std::string&>();
    return word == "default" || word == "mrope" ? "" : word;
  }
  return "";
}

}  // namespace hotset
