// HfConfig: a checkpoint's config.json, with the part of a model of several senses that is about text (text_config) looked at first.
// Immutable after reading; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "platform/status.h"
#include "runtime/format/checkpoint.h"

namespace hotset {

class HfConfig {
 public:
  // Errors: no config.json, or none that is a JSON object with a model_type.
  static Result<HfConfig> read(const Checkpoint& checkpoint);

  const nlohmann::json& document() const { return document_; }
  const std::string& text() const { return text_; }
  // "qwen3_moe"; that of text_config, where there is one, as the second.
  const std::string& model_type() const { return model_type_; }
  const std::string& text_model_type() const { return text_model_type_; }

  // The first of "a|b|c" that is there and not null; nullptr: none.
  const nlohmann::json* find(std::string_view names) const;
  // Absent, or of another type, or out of range: nullopt. A list of equal numbers counts as one number.
  std::optional<uint32_t> count(std::string_view names) const;
  std::optional<float> real(std::string_view names) const;
  std::optional<bool> flag(std::string_view names) const;
  std::optional<std::string> word(std::string_view names) const;

  // Of rope_parameters or rope_scaling.
  const nlohmann::json* rope(std::string_view name) const;
  std::optional<float> rope_real(std::string_view name) const;
  // "yarn", "llama3"; empty where positions are not scaled.
  std::string rope_type() const;

 private:
  nlohmann::json document_;
  std::string text_;
  std::string model_type_;
  std::string text_model_type_;
};

}  // namespace hotset
