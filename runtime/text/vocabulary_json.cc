#include "runtime/text/vocabulary_json.h"

#include <algorithm>
#include <set>

#include "platform/log.h"
#include "runtime/format/json_document.h"
#include "runtime/text/pre_tokenizer_match.h"
#include "runtime/text/tiktoken_ranks.h"
#include "runtime/text/tokenizer.h"

namespace hotset {
namespace {

using Json = nlohmann::json;

constexpr uint32_t kMostTokens = 1u << 24;

Status misread(const char* what) { return error(Code::kCorrupt, "tokenizer.json: %s", what); }

Result<Json> parse_text(const std::string& text, const char* name) {
  if (text.empty()) return Json::object();
  auto document = parse_json(text);
  if (!document.ok()) return document.status().with_context(name);
  return document;
}

int32_t number_of(TokenType type) { return static_cast<int32_t>(type); }

bool is_bracketed(std::string_view text, std::string_view begin, std::string_view end) {
  return text.size() >= begin.size() + end.size() && text.starts_with(begin) && text.ends_with(end);
}

// Some models do not mark all of their control tokens as such.
bool looks_special(std::string_view text) {
  return is_bracketed(text, "<|", "|>") || is_bracketed(text, "<｜", "｜>") || is_bracketed(text, "<unused", ">");
}

// Puts tokens in their places.
class TokenList {
 public:
  explicit TokenList(uint32_t size) { grow(size); }

  Status place(uint64_t id, std::string text, TokenType type) {
    if (id >= kMostTokens) return misread("a token's id is too large");
    grow(static_cast<uint32_t>(id) + 1);
    tokens_[id] = std::move(text);
    types_[id] = number_of(type);
    return ok_status();
  }

  // What has no text gets one that no other token has.
  void finish(Vocabulary& vocabulary) {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (types_[i] == number_of(TokenType::kUnused)) tokens_[i] = "[PAD" + std::to_string(i) + "]";
    }
    vocabulary.tokens = std::move(tokens_);
    vocabulary.types = std::move(types_);
  }

 private:
  void grow(uint32_t size) {
    if (size <= tokens_.size()) return;
    tokens_.resize(size);
    types_.resize(size, number_of(TokenType::kUnused));
  }

  std::vector<std::string> tokens_;
  std::vector<int32_t> types_;
};

Status place_words(const Json& model, bool by_characters, TokenList& list) {
  const Json* words = json_member(model, "vocab");
  if (words == nullptr || !words->is_object() || words->empty()) return misread("the model has no vocab");
  for (const auto& [text, id] : words->items()) {
    if (!id.is_number_unsigned()) return misread("a token's id is no number");
    const bool is_byte = by_characters && byte_of_name(text).has_value();
    HOTSET_RETURN_IF_ERROR(list.place(id.get<uint64_t>(), text, is_byte ? TokenType::kByte : TokenType::kNormal));
  }
  return ok_status();
}

Status place_added(uint64_t id, const Json& token, TokenList& list) {
  const Json* text = json_member(token, "content");
  const Json* special = json_member(token, "special");
  if (text == nullptr || !text->is_string()) return misread("an added token has no text");
  const auto& content = text->get_ref<const std::string&>();
  const bool control = (special && *special == Json(true)) || looks_special(content);
  return list.place(id, content, control ? TokenType::kControl : TokenType::kUserDefined);
}

Status place_all_added(const Json& tokenizer, const Json& config, TokenList& list) {
  if (const Json* decoder = json_member(config, "added_tokens_decoder"); decoder && decoder->is_object()) {
    for (const auto& [id, token] : decoder->items()) {
      if (id.empty() || id.size() > 8 || id.find_first_not_of("0123456789") != std::string::npos) return misread("an added token's id is no number");
      HOTSET_RETURN_IF_ERROR(place_added(std::stoull(id), token, list));
    }
  }
  const Json* added = json_member(tokenizer, "added_tokens");
  if (added == nullptr) return ok_status();
  if (!added->is_array()) return misread("added_tokens is no list");
  for (const Json& token : *added) {
    const Json* id = json_member(token, "id");
    if (id == nullptr || !id->is_number_unsigned()) return misread("an added token has no id");
    HOTSET_RETURN_IF_ERROR(place_added(id->get<uint64_t>(), token, list));
  }
  return ok_status();
}

// "a b" or ["a", "b"].
Status take_merges(const Json& model, Vocabulary& vocabulary) {
  const Json* merges = json_member(model, "merges");
  if (merges == nullptr || !merges->is_array()) return misread("the model has no merges");
  for (const Json& merge : *merges) {
    if (merge.is_string()) {
      vocabulary.merges.push_back(merge.get<std::string>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      vocabulary.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    } else {
      return misread("a merge is no pair");
    }
  }
  return ok_status();
}

// SentencePiece joins the pair whose piece has the highest score, so scores follow from the order of merges; what no merge makes comes last.
Status scores_of_merges(Vocabulary& v) {
  HOTSET_ASSIGN(const TextIndex ids, index_tokens(v.tokens));
  v.scores.assign(v.tokens.size(), 0);
  float rank = 0;
  for (const std::string& merge : v.merges) {
    const size_t blank = merge.find(' ');
    if (blank == std::string::npos) return misread("a merge is no pair");
    const auto made = ids.find(merge.substr(0, blank) + merge.substr(blank + 1));
    if (made != ids.end() && v.scores[static_cast<size_t>(made->second)] == 0) v.scores[static_cast<size_t>(made->second)] = -++rank;
  }
  for (size_t i = 0; i < v.scores.size(); ++i) {
    if (v.types[i] == number_of(TokenType::kNormal) && v.scores[i] == 0) v.scores[i] = -(rank + 1 + static_cast<float>(i));
  }
  v.merges.clear();
  return ok_status();
}

bool has_type(const Json* part, const char* type) {
  if (part == nullptr) return false;
  const Json* own = json_member(*part, "type");
  if (own && *own == Json(type)) return true;
  for (const char* list : {"pretokenizers", "decoders", "processors", "normalizers"}) {
    const Json* parts = json_member(*part, list);
    if (parts == nullptr || !parts->is_array()) continue;
    for (const Json& inner : *parts) {
      const Json* inner_type = json_member(inner, "type");
      if (inner_type && *inner_type == Json(type)) return true;
    }
  }
  return false;
}

Result<Vocabulary> read_byte_level(const Json& tokenizer, const Json& model, const Json& config, uint32_t vocab_size) {
  Vocabulary vocabulary;
  const Json* pre = json_member(tokenizer, "pre_tokenizer");
  if (pre == nullptr) return misread("it has no pre-tokeniser");
  const Json* ignore = json_member(model, "ignore_merges");
  HOTSET_ASSIGN(vocabulary.pre, match_pre_tokenizer(*pre, ignore && *ignore == Json(true)));
  TokenList list(vocab_size);
  HOTSET_RETURN_IF_ERROR(place_words(model, false, list));
  HOTSET_RETURN_IF_ERROR(place_all_added(tokenizer, config, list));
  list.finish(vocabulary);
  HOTSET_RETURN_IF_ERROR(take_merges(model, vocabulary));
  return vocabulary;
}

Result<Vocabulary> read_characters(const Json& tokenizer, const Json& model, const Json& config, uint32_t vocab_size) {
  Vocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.pre = "default";
  TokenList list(vocab_size);
  HOTSET_RETURN_IF_ERROR(place_words(model, true, list));
  HOTSET_RETURN_IF_ERROR(place_all_added(tokenizer, config, list));
  list.finish(vocabulary);
  const Json* unknown = json_member(model, "unk_token");
  for (size_t i = 0; unknown && i < vocabulary.tokens.size(); ++i) {
    if (Json(vocabulary.tokens[i]) == *unknown) vocabulary.types[i] = number_of(TokenType::kUnknown);
  }
  const Json* normalizer = json_member(tokenizer, "normalizer");
  vocabulary.add_space_prefix = has_type(normalizer, "Prepend") || has_type(json_member(tokenizer, "pre_tokenizer"), "Metaspace");
  HOTSET_RETURN_IF_ERROR(take_merges(model, vocabulary));
  HOTSET_RETURN_IF_ERROR(scores_of_merges(vocabulary));
  return vocabulary;
}

Result<Vocabulary> read_tokenizer(const Json& tokenizer, const Json& config, uint32_t vocab_size) {
  const Json* model = json_member(tokenizer, "model");
  if (model == nullptr) return misread("it has no model");
  const Json* type = json_member(*model, "type");
  if (type && *type != Json("BPE")) {
    return error(Code::kUnsupported, "tokenizer.json: only byte-pair encoding is converted, not '%s'", type->is_string() ? shown_token(type->get<std::string>()).c_str() : "");
  }
  const bool byte_level = has_type(json_member(tokenizer, "pre_tokenizer"), "ByteLevel") || has_type(json_member(tokenizer, "decoder"), "ByteLevel");
  if (byte_level) return read_byte_level(tokenizer, *model, config, vocab_size);
  const Json* fallback = json_member(*model, "byte_fallback");
  if (fallback && *fallback == Json(true)) return read_characters(tokenizer, *model, config, vocab_size);
  return error(Code::kUnsupported, "tokenizer.json: this kind of byte-pair encoding, neither byte-level nor with byte fallback, is not converted");
}

Result<Vocabulary> read_ranks(const std::string& ranks, const Json& config, uint32_t vocab_size) {
  HOTSET_ASSIGN(const TiktokenRanks read, read_tiktoken_ranks(ranks));
  TokenList list(vocab_size);
  for (size_t i = 0; i < read.tokens.size(); ++i) {
    if (!read.tokens[i].empty()) HOTSET_RETURN_IF_ERROR(list.place(i, read.tokens[i], TokenType::kNormal));
  }
  HOTSET_RETURN_IF_ERROR(place_all_added(Json::object(), config, list));
  Vocabulary vocabulary;
  vocabulary.pre = "kimi-k2";
  list.finish(vocabulary);
  vocabulary.merges = read.merges;
  return vocabulary;
}

// ---- special tokens

// A token named by a text, or by an object with one.
TokenId id_of_named(const Json& config, const char* name, const TextIndex& ids) {
  const Json* token = json_member(config, name);
  if (token && token->is_object()) token = json_member(*token, "content");
  if (token == nullptr || !token->is_string()) return kNoToken;
  const auto found = ids.find(token->get_ref<const std::string&>());
  return found == ids.end() ? kNoToken : found->second;
}

// Ids that a config gives as a number or a list of them.
std::vector<TokenId> ids_of(const Json& config, const char* name, size_t token_count) {
  std::vector<TokenId> ids;
  const auto take = [&](const Json& id) {
    if (id.is_number_unsigned() && id.get<uint64_t>() < token_count) ids.push_back(static_cast<TokenId>(id.get<uint64_t>()));
  };
  const Json* value = json_member(config, name);
  if (value == nullptr) {
    const Json* text = json_member(config, "text_config");
    value = text ? json_member(*text, name) : nullptr;
  }
  if (value == nullptr) return ids;
  if (!value->is_array()) take(*value);
  else for (const Json& id : *value) take(id);
  return ids;
}

// Whether texts begin with a special token, as a TemplateProcessing part says.
bool template_begins_special(const Json* post) {
  if (post == nullptr) return false;
  const Json* parts = json_member(*post, "processors");
  for (size_t i = 0; parts && parts->is_array() && i < parts->size(); ++i) {
    if (template_begins_special(&(*parts)[i])) return true;
  }
  const Json* single = json_member(*post, "single");
  return single && single->is_array() && !single->empty() && json_member((*single)[0], "SpecialToken") != nullptr;
}

std::optional<bool> flag_of(const Json& config, const char* name) {
  const Json* flag = json_member(config, name);
  return flag && flag->is_boolean() ? std::optional<bool>(flag->get<bool>()) : std::nullopt;
}

void take_specials(const Json& tokenizer, const Json& tokenizer_config, const Json& config, const Json& generation, const TextIndex& ids, Vocabulary& v) {
  const auto find = [&](const char* name, const char* id_name) {
    const TokenId named = id_of_named(tokenizer_config, name, ids);
    if (named != kNoToken) return named;
    for (const Json* from : {&config, &generation}) {
      const auto listed = ids_of(*from, id_name, v.tokens.size());
      if (!listed.empty()) return listed[0];
    }
    return kNoToken;
  };
  v.bos = find("bos_token", "bos_token_id");
  v.eos = find("eos_token", "eos_token_id");
  v.pad = find("pad_token", "pad_token_id");
  v.unk = id_of_named(tokenizer_config, "unk_token", ids);
  const auto add_bos = flag_of(tokenizer_config, "add_bos_token");
  v.add_bos = v.bos != kNoToken && add_bos.value_or(template_begins_special(json_member(tokenizer, "post_processor")));
  v.add_eos = flag_of(tokenizer_config, "add_eos_token");
}

// More tokens that end an answer, where the engine would not know them by name.
Status take_more_ends(const Json& config, const Json& generation, Vocabulary& v) {
  HOTSET_ASSIGN(const auto tokenizer, Tokenizer::create(v));
  std::set<TokenId> more;
  for (const Json* from : {&generation, &config}) {
    for (const TokenId id : ids_of(*from, "eos_token_id", v.tokens.size())) {
      if (!tokenizer->is_end_of_generation(id)) more.insert(id);
    }
  }
  size_t count = 0;
  for (const TokenId id : more) {
    if (count == 0) v.eot = id;
    else if (count == 1) v.ends.push_back(id);
    else log_line(LogLevel::kWarn, "the file cannot say that answers end at the token '%s' too", shown_token(v.tokens[static_cast<size_t>(id)]).c_str());
    ++count;
  }
  return ok_status();
}

}  // namespace

Result<Vocabulary> read_vocabulary_texts(const VocabularyTexts& texts, const Json& config, uint32_t vocab_size) {
  if (texts.tokenizer.empty() && texts.ranks.empty()) {
    return error(Code::kNotFound, "the folder has no tokenizer.json (and no tiktoken.model), which a conversion needs");
  }
  HOTSET_ASSIGN(const Json tokenizer, parse_text(texts.tokenizer, "tokenizer.json"));
  HOTSET_ASSIGN(const Json tokenizer_config, parse_text(texts.tokenizer_config, "tokenizer_config.json"));
  HOTSET_ASSIGN(const Json generation, parse_text(texts.generation_config, "generation_config.json"));
  if (vocab_size > kMostTokens) return error(Code::kCorrupt, "config.json: a vocabulary of %u tokens is too large", vocab_size);
  auto read = texts.tokenizer.empty() ? read_ranks(texts.ranks, tokenizer_config, vocab_size) : read_tokenizer(tokenizer, tokenizer_config, vocab_size);
  if (!read.ok()) return read.status();
  Vocabulary vocabulary = std::move(read).value();
  if (vocab_size != 0 && vocabulary.tokens.size() > vocab_size) {
    return error(Code::kCorrupt, "the tokenizer has %zu tokens, but the model only %u", vocabulary.tokens.size(), vocab_size);
  }
  HOTSET_ASSIGN(const TextIndex ids, index_tokens(vocabulary.tokens));
  take_specials(tokenizer, tokenizer_config, config, generation, ids, vocabulary);
  HOTSET_RETURN_IF_ERROR(take_more_ends(config, generation, vocabulary));
  return vocabulary;
}

Result<std::string> read_chat_template(const VocabularyTexts& texts) {
  if (!texts.chat_template.empty()) return texts.chat_template;
  for (const auto& [text, name] : {std::pair(&texts.chat_template_json, "chat_template.json"), std::pair(&texts.tokenizer_config, "tokenizer_config.json")}) {
    HOTSET_ASSIGN(const Json document, parse_text(*text, name));
    const Json* found = json_member(document, "chat_template");
    if (found && found->is_string()) return found->get<std::string>();
    for (size_t i = 0; found && found->is_array() && i < found->size(); ++i) {
      const Json* label = json_member((*found)[i], "name");
      const Json* body = json_member((*found)[i], "template");
      if (label && *label == Json("default") && body && body->is_string()) return body->get<std::string>();
    }
  }
  return std::string();
}

}  // namespace hotset
