// The vocabulary of a checkpoint folder: tokenizer.json, or tiktoken's ranks, with what tokenizer_config.json says of special tokens.
//
// Pure functions on texts that nobody vouches for; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "platform/status.h"
#include "runtime/text/vocabulary.h"

namespace hotset {

// The texts of a folder; empty where there is no such file.
struct VocabularyTexts {
  std::string tokenizer;         // tokenizer.json
  std::string ranks;             // tiktoken.model
  std::string tokenizer_config;  // tokenizer_config.json
  std::string generation_config;
  std::string chat_template;       // chat_template.jinja
  std::string chat_template_json;  // chat_template.json
};

// Byte-pair encoding, byte-level or over characters with byte fallback. Tokens up to `vocab_size` that have no text become unused ones;
// `config` is the model's, for the ids that it names. Errors: a kind of tokenizer that is not known (kUnsupported), ids that clash or are
// out of range, members of the wrong type (kCorrupt).
Result<Vocabulary> read_vocabulary_texts(const VocabularyTexts& texts, const nlohmann::json& config, uint32_t vocab_size);

// The default one; empty where there is none.
Result<std::string> read_chat_template(const VocabularyTexts& texts);

}  // namespace hotset
