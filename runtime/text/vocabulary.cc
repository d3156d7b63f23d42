#include "runtime/text/vocabulary.h"

#include <limits>

#include "runtime/format/gguf.h"

namespace hotset {

namespace {

// Far above any real vocabulary (the largest have 262 144 tokens); keeps ids within 32 bits.
constexpr size_t kMaxTokens = size_t{1} << 24;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Status check_id(const char* name, TokenId id, size_t token_count) {
  if (id == kNoToken || (id >= 0 && static_cast<size_t>(id) < token_count)) return ok_status();
  return error(Code::kCorrupt, "vocabulary: %s token %d is outside the %zu tokens", name, id, token_count);
}

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

Status read_types(const GgufFile& file, Vocabulary& vocabulary) {
  constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  if (file.find(kKey) == nullptr) return ok_status();
  HOTSET_ASSIGN(const auto types, file.get_ints(kKey));
  for (const int64_t type : types) {
    const bool fits = type >= 0 && type <= std::numeric_limits<int32_t>::max();
    vocabulary.types.push_back(fits ? static_cast<int32_t>(type) : 0);  // 0 is no type: check_vocabulary says so
  }
  if (types.empty()) return error(Code::kCorrupt, "tokenizer.ggml.token_type is empty");
  return ok_status();
}

Status read_scores(const GgufFile& file, Vocabulary& vocabulary) {
  constexpr std::string_view kKey = "tokenizer.ggml.scores";
  if (file.find(kKey) == nullptr) return ok_status();
  auto scores = file.get_floats(kKey);
  if (scores.ok()) {
    vocabulary.scores = std::move(scores).value();
    return ok_status();
  }
  HOTSET_ASSIGN(const auto whole, file.get_ints(kKey));  // some writers give whole numbers
  for (const int64_t score : whole) vocabulary.scores.push_back(static_cast<float>(score));
  return ok_status();
}

Status read_charsmap(const GgufFile& file, Vocabulary& vocabulary) {
  constexpr std::string_view kKey = "tokenizer.ggml.precompiled_charsmap";
  if (file.find(kKey) == nullptr) return ok_status();
  HOTSET_ASSIGN(const auto bytes, file.get_ints(kKey));
  for (const int64_t byte : bytes) vocabulary.charsmap.push_back(static_cast<char>(byte));
  return ok_status();
}

Status read_ids(const GgufFile& file, Vocabulary& vocabulary) {
  HOTSET_ASSIGN(vocabulary.bos, read_id(file, "tokenizer.ggml.bos_token_id"));
  HOTSET_ASSIGN(vocabulary.eos, read_id(file, "tokenizer.ggml.eos_token_id"));
  HOTSET_ASSIGN(vocabulary.eot, read_id(file, "tokenizer.ggml.eot_token_id"));
  HOTSET_ASSIGN(vocabulary.pad, read_id(file, "tokenizer.ggml.padding_token_id"));
  HOTSET_ASSIGN(vocabulary.unk, read_id(file, "tokenizer.ggml.unknown_token_id"));
  for (const char* key : {"tokenizer.ggml.eom_token_id", "tokenizer.ggml.fim_pad_token_id", "tokenizer.ggml.fim_rep_token_id",
                          "tokenizer.ggml.fim_sep_token_id"}) {
    HOTSET_ASSIGN(const TokenId id, read_id(file, key));
    if (id != kNoToken) vocabulary.ends.push_back(id);
  }
  return ok_status();
}

// The ids that readers of these kinds of files take where the file names none.
void take_usual_ids(Vocabulary& vocabulary) {
  const auto fill = [&](TokenId& id, TokenId usual) {
    if (id == kNoToken && static_cast<size_t>(usual) < vocabulary.tokens.size()) id = usual;
  };
  if (vocabulary.model == "llama") {
    fill(vocabulary.bos, 1);
    fill(vocabulary.eos, 2);
    fill(vocabulary.unk, 0);
  } else if (vocabulary.model == "t5") {
    fill(vocabulary.eos, 1);
    fill(vocabulary.unk, 2);
    fill(vocabulary.pad, 0);
  }
}

}  // namespace

std::string shown_token(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 40)) out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c);
  return out;
}

std::optional<uint8_t> byte_of_name(std::string_view text) {
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return std::nullopt;
  const int high = hex_digit(text[3]);
  const int low = hex_digit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<uint8_t>(high * 16 + low);
}

Result<TextIndex> index_tokens(const std::vector<std::string>& tokens) {
  TextIndex ids;
  ids.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].empty()) continue;  // stands for no text, so it cannot be confused
    const auto [place, is_new] = ids.emplace(tokens[i], static_cast<TokenId>(i));
    if (!is_new) {
      return error(Code::kCorrupt, "vocabulary: tokens %d and %zu are the same ('%s')",
                   place->second, i, shown_token(tokens[i]).c_str());
    }
  }
  return ids;
}

Status check_vocabulary(const Vocabulary& v) {
  if (v.tokens.empty()) return error(Code::kCorrupt, "vocabulary: no tokens");
  if (v.tokens.size() > kMaxTokens) return error(Code::kUnsupported, "vocabulary: %zu tokens are too many", v.tokens.size());
  if (!v.types.empty() && v.types.size() != v.tokens.size()) {
    return error(Code::kCorrupt, "vocabulary: %zu token types for %zu tokens", v.types.size(), v.tokens.size());
  }
  if (!v.scores.empty() && v.scores.size() != v.tokens.size()) {
    return error(Code::kCorrupt, "vocabulary: %zu scores for %zu tokens", v.scores.size(), v.tokens.size());
  }
  for (size_t i = 0; i < v.types.size(); ++i) {
    if (v.types[i] < 1 || v.types[i] > 6) {
      return error(Code::kCorrupt, "vocabulary: token %zu has unknown type %d", i, v.types[i]);
    }
  }
  HOTSET_RETURN_IF_ERROR(check_id("beginning", v.bos, v.tokens.size()));
  HOTSET_RETURN_IF_ERROR(check_id("end", v.eos, v.tokens.size()));
  HOTSET_RETURN_IF_ERROR(check_id("end-of-turn", v.eot, v.tokens.size()));
  HOTSET_RETURN_IF_ERROR(check_id("padding", v.pad, v.tokens.size()));
  for (const TokenId id : v.ends) HOTSET_RETURN_IF_ERROR(check_id("ending", id, v.tokens.size()));
  return check_id("unknown", v.unk, v.tokens.size());
}

Result<Vocabulary> read_vocabulary(const GgufFile& file) {
  Vocabulary vocabulary;
  HOTSET_ASSIGN(vocabulary.model, file.get_string("tokenizer.ggml.model"));
  HOTSET_ASSIGN(vocabulary.pre, file.get_string_or("tokenizer.ggml.pre", "default"));
  HOTSET_ASSIGN(vocabulary.name, file.get_string_or("general.name", ""));
  HOTSET_ASSIGN(vocabulary.tokens, read_strings(file, "tokenizer.ggml.tokens"));
  if (file.find("tokenizer.ggml.merges") != nullptr) {
    HOTSET_ASSIGN(vocabulary.merges, read_strings(file, "tokenizer.ggml.merges"));
  }
  HOTSET_RETURN_IF_ERROR(read_types(file, vocabulary));
  HOTSET_RETURN_IF_ERROR(read_scores(file, vocabulary));
  HOTSET_RETURN_IF_ERROR(read_charsmap(file, vocabulary));
  HOTSET_RETURN_IF_ERROR(read_ids(file, vocabulary));
  HOTSET_ASSIGN(vocabulary.add_bos, read_flag(file, "tokenizer.ggml.add_bos_token"));
  HOTSET_ASSIGN(vocabulary.add_eos, read_flag(file, "tokenizer.ggml.add_eos_token"));
  HOTSET_ASSIGN(vocabulary.add_space_prefix, read_flag(file, "tokenizer.ggml.add_space_prefix"));
  HOTSET_ASSIGN(vocabulary.merge_spaces, read_flag(file, "tokenizer.ggml.remove_extra_whitespaces"));
  take_usual_ids(vocabulary);
  return vocabulary;
}

}  // namespace hotset
