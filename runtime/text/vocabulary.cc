#include "runtime/text/vocabulary.h"

#include <limits>

namespace hotset {

namespace {

// The id under `key`; kNoToken when absent or given as -1, in whatever width the writer chose.
Result<TokenId> read_id(const GgufFile& file, std::string_view key) {
  if (file.find(key) == nullptr) return kNoToken;
  HOTSET_ASSIGN(const int64_t id, file.get_i64(key));
  if (id == -1 || id == std::numeric_limits<uint32_t>::max()) return kNoToken;
  if (id < 0 || id > std::numeric_limits<TokenId>::max()) {
    return error(Code::kCorrupt, "%.*s: token %lld cannot be",
                 static_cast<int>(key.size()), key.data(), static_cast<long long>(id));
  }
  return static_cast<TokenId>(id);
}

Result<std::optional<bool>> read_flag(const GgufFile& file, std::string_view key) {
  if (file.find(key) == nullptr) return std::optional<bool>();
  HOTSET_ASSIGN(const bool flag, file.get_bool(key));
  return std::optional<bool>(flag);
}

Result<std::vector<std::string>> read_strings(const GgufFile& file, std::string_view key) {
  HOTSET_ASSIGN(const auto views, file.get_strings(key));
  return std::vector<std::string>(views.begin(), views.end());
}

}  // namespace

Result<Vocabulary> read_vocabulary(const GgufFile& file) {
  Vocabulary vocabulary;
  HOTSET_ASSIGN(vocabulary.model, file.get_string("tokenizer.ggml.model"));
  HOTSET_ASSIGN(vocabulary.pre, file.get_string_or("tokenizer.ggml.pre", "default"));
  HOTSET_ASSIGN(vocabulary.tokens, read_strings(file, "tokenizer.ggml.tokens"));
  if (file.find("tokenizer.ggml.merges") != nullptr) {
    HOTSET_ASSIGN(vocabulary.merges, read_strings(file, "tokenizer.ggml.merges"));
  }
  if (file.find("tokenizer.ggml.token_type") != nullptr) {
    HOTSET_ASSIGN(const auto types, file.get_ints("tokenizer.ggml.token_type"));
    for (const int64_t type : types) {
      const bool fits = type >= 0 && type <= std::numeric_limits<int32_t>::max();
      vocabulary.types.push_back(fits ? static_cast<int32_t>(type) : 0);  // 0 is no type: create() says so
    }
    if (types.empty()) return error(Code::kCorrupt, "tokenizer.ggml.token_type is empty");
  }
  HOTSET_ASSIGN(vocabulary.bos, read_id(file, "tokenizer.ggml.bos_token_id"));
  HOTSET_ASSIGN(vocabulary.eos, read_id(file, "tokenizer.ggml.eos_token_id"));
  HOTSET_ASSIGN(vocabulary.eot, read_id(file, "tokenizer.ggml.eot_token_id"));
  HOTSET_ASSIGN(vocabulary.pad, read_id(file, "tokenizer.ggml.padding_token_id"));
  HOTSET_ASSIGN(vocabulary.unk, read_id(file, "tokenizer.ggml.unknown_token_id"));
  HOTSET_ASSIGN(vocabulary.add_bos, read_flag(file, "tokenizer.ggml.add_bos_token"));
  HOTSET_ASSIGN(vocabulary.add_eos, read_flag(file, "tokenizer.ggml.add_eos_token"));
  return vocabulary;
}

}  // namespace hotset
