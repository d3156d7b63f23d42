#include "runtime/text/tokenizer.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "platform/check.h"
#include "runtime/text/byte_alphabet.h"
#include "runtime/text/byte_level_encoder.h"
#include "runtime/text/character_encoder.h"
#include "runtime/text/spaces.h"
#include "runtime/text/unigram_encoder.h"
#include "runtime/text/utf8.h"

namespace hotset {

namespace {

// Names under which models end their turn; the first that exists is eot where the file names none.
constexpr std::string_view kEndOfTurnNames[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]",
    "<｜end▁of▁sentence｜>", "<end_of_utterance>",
};

// Names after which generation ends, beside eos and eot. File-completion models end at padding, repository and file marks.
constexpr std::string_view kEndNames[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
    "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>",
    "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>",
    "<|file_sep|>",
};

// Parts of an answer where the format has channels (gpt-oss): text to whoever reads the answer, whatever their type.
constexpr std::string_view kShownNames[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};

bool is_character_level(const Vocabulary& v) {
  return v.model == "gemma4" || v.pre == "gemma4" || v.pre == "granite-embed-multi-311m" || v.pre == "sarvam-moe";
}
bool is_byte_level(const Vocabulary& v) { return v.model == "gpt2" && !is_character_level(v); }

Status check_kind(const Vocabulary& v) {
  for (const char* known : {"gpt2", "llama", "gemma4", "t5"}) {
    if (v.model == known) return ok_status();
  }
  return error(Code::kUnsupported, "unknown kind of tokenizer '%s' (known: gpt2, llama, gemma4, t5)", shown_token(v.model).c_str());
}

// The bytes that token `id` stands for.
Result<std::string> piece_of(const Vocabulary& vocabulary, size_t id) {
  const std::string& text = vocabulary.tokens[id];
  const TokenType type = vocabulary.type_of(id);
  if (type == TokenType::kByte) {
    const auto byte = byte_of_name(text);
    if (!byte) return error(Code::kCorrupt, "vocabulary: token %zu ('%s') is no byte's name", id, shown_token(text).c_str());
    return std::string(1, static_cast<char>(*byte));
  }
  if (type != TokenType::kNormal && type != TokenType::kUnused) return text;
  if (!is_byte_level(vocabulary)) return with_plain_spaces(text);
  // Added tokens that are not marked so are plain text.
  return bytes_from_alphabet(text).value_or(text);
}

bool has_all(const TextIndex& ids, std::initializer_list<std::string_view> names) {
  return std::all_of(names.begin(), names.end(), [&](std::string_view name) { return ids.count(name) != 0; });
}

// Where answers end with <|return|> and calls with <|call|>, <|end|> only parts the messages of one answer (gpt-oss).
bool end_parts_messages(const TextIndex& ids) {
  return has_all(ids, {"<|return|>", "<|call|>", "<|end|>"}) || has_all(ids, {"<|flush|>", "<|calls|>", "<|end|>"}) ||
         has_all(ids, {"<|flush|>", "<|call|>", "<|end|>"});
}

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Phi-3's added tokens take the blanks after them.
bool strips_blanks(const Vocabulary& vocabulary) {
  std::string name = vocabulary.name;
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::create(Vocabulary vocabulary) {
  HOTSET_RETURN_IF_ERROR(check_kind(vocabulary));
  HOTSET_RETURN_IF_ERROR(check_vocabulary(vocabulary));
  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer);
  tokenizer->bos_ = vocabulary.bos;
  tokenizer->eos_ = vocabulary.eos;
  tokenizer->eot_ = vocabulary.eot;
  tokenizer->pad_ = vocabulary.pad;
  HOTSET_ASSIGN(const TextIndex ids, index_tokens(vocabulary.tokens));
  HOTSET_RETURN_IF_ERROR(tokenizer->take_pieces(vocabulary));
  HOTSET_RETURN_IF_ERROR(tokenizer->take_encoder(vocabulary, ids));
  tokenizer->take_end_of_generation(vocabulary, ids);
  tokenizer->take_specials(vocabulary, ids);
  return tokenizer;
}

Status Tokenizer::take_pieces(const Vocabulary& vocabulary) {
  pieces_.reserve(vocabulary.tokens.size());
  types_.reserve(vocabulary.tokens.size());
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    HOTSET_ASSIGN(std::string piece, piece_of(vocabulary, i));
    pieces_.push_back(std::move(piece));
    types_.push_back(vocabulary.type_of(i));
  }
  return ok_status();
}

Status Tokenizer::take_encoder(const Vocabulary& vocabulary, const TextIndex& ids) {
  add_bos_ = vocabulary.add_bos.value_or(false);
  add_eos_ = vocabulary.add_eos.value_or(vocabulary.model == "t5");
  add_space_ = !is_byte_level(vocabulary) && vocabulary.add_space_prefix.value_or(!is_character_level(vocabulary));
  if (vocabulary.model == "t5") {
    HOTSET_ASSIGN(encoder_, UnigramEncoder::create(vocabulary, ids, pieces_));
  } else if (vocabulary.model == "llama") {
    HOTSET_ASSIGN(encoder_, CharacterEncoder::by_scores(vocabulary, ids, pieces_));
    add_bos_ = vocabulary.add_bos.value_or(true);
  } else if (is_character_level(vocabulary)) {
    HOTSET_ASSIGN(encoder_, CharacterEncoder::by_list(vocabulary, ids, pieces_));
    add_bos_ |= vocabulary.model == "gemma4" || vocabulary.pre == "gemma4";  // early files say no, and are wrong
  } else {
    HOTSET_ASSIGN(auto pre_tokenizer, PreTokenizer::create(vocabulary.pre));
    add_bos_ = vocabulary.add_bos.value_or(pre_tokenizer->adds_bos());
    HOTSET_ASSIGN(encoder_, ByteLevelEncoder::create(vocabulary, ids, pieces_, std::move(pre_tokenizer)));
  }
  return ok_status();
}

void Tokenizer::take_end_of_generation(const Vocabulary& vocabulary, const TextIndex& ids) {
  for (const std::string_view name : kEndOfTurnNames) {
    const auto place = ids.find(name);
    const bool ends_turn = place != ids.end() && !(name == "<|end|>" && end_parts_messages(ids));
    if (eot_ == kNoToken && ends_turn) eot_ = place->second;
  }
  end_of_generation_ = vocabulary.ends;
  for (const std::string_view name : kEndNames) {
    const auto place = ids.find(name);
    if (place != ids.end()) end_of_generation_.push_back(place->second);
  }
  if (eos_ != kNoToken) end_of_generation_.push_back(eos_);
  if (eot_ != kNoToken) end_of_generation_.push_back(eot_);
  if (end_parts_messages(ids)) std::erase(end_of_generation_, ids.at("<|end|>"));
  // Gemma 4 has </s> as a word of HTML.
  if (has_all(ids, {"<|tool_response>", "</s>"})) std::erase(end_of_generation_, ids.at("</s>"));
  std::sort(end_of_generation_.begin(), end_of_generation_.end());
  end_of_generation_.erase(std::unique(end_of_generation_.begin(), end_of_generation_.end()), end_of_generation_.end());
}

void Tokenizer::take_specials(const Vocabulary& vocabulary, const TextIndex& ids) {
  const auto make_added = [&](std::string_view name) {
    const auto place = ids.find(name);
    if (place != ids.end()) types_[static_cast<size_t>(place->second)] = TokenType::kUserDefined;
  };
  for (const std::string_view name : kShownNames) make_added(name);
  if (end_parts_messages(ids)) make_added("<|end|>");

  std::vector<TokenTrie::Entry> added;
  std::vector<TokenTrie::Entry> all;
  const bool strips = strips_blanks(vocabulary);
  if (strips) strips_right_.assign(pieces_.size(), false);
  for (size_t i = 0; i < pieces_.size(); ++i) {
    const bool is_added = types_[i] == TokenType::kUserDefined;
    if (!is_added && types_[i] != TokenType::kControl && types_[i] != TokenType::kUnknown) continue;
    all.push_back({pieces_[i], static_cast<TokenId>(i)});
    if (is_added) added.push_back(all.back());
    if (strips) strips_right_[i] = pieces_[i] != "<unk>" && pieces_[i] != "<s>" && pieces_[i] != "<|endoftext|>";
  }
  added_ = TokenTrie(std::move(added));
  specials_ = TokenTrie(std::move(all));
}

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, bool add_special, bool parse_special) const {
  const size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    return error(Code::kInvalidArgument, "invalid UTF-8 at byte %zu of the text", invalid);
  }
  const TokenTrie& specials = parse_special ? specials_ : added_;
  std::vector<TokenId> ids;
  if (add_special && add_bos_ && bos_ != kNoToken) ids.push_back(bos_);
  bool at_start = true;
  size_t plain_begin = 0;
  const auto encode_plain = [&](size_t end) -> Status {
    if (end == plain_begin) return ok_status();
    const bool was_at_start = std::exchange(at_start, false);
    return encoder_->encode(text.substr(plain_begin, end - plain_begin), was_at_start, ids);
  };
  for (size_t offset = 0; offset < text.size();) {
    const TokenTrie::Match special = specials.longest(text.substr(offset));
    if (special.size_bytes == 0) {
      ++offset;
      continue;
    }
    HOTSET_RETURN_IF_ERROR(encode_plain(offset));
    ids.push_back(special.id);
    at_start = true;
    offset += special.size_bytes;
    const bool strips = !strips_right_.empty() && strips_right_[static_cast<size_t>(special.id)];
    while (strips && offset < text.size() && is_blank(text[offset])) ++offset;
    plain_begin = offset;
  }
  HOTSET_RETURN_IF_ERROR(encode_plain(text.size()));
  if (add_special && add_eos_ && eos_ != kNoToken) ids.push_back(eos_);
  return ids;
}

Result<std::string> Tokenizer::decode(std::span<const TokenId> ids, bool show_special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (!contains(id)) return error(Code::kInvalidArgument, "token %d is outside the vocabulary of %u", id, vocab_size());
    if (show_special || !is_special(id)) bytes.append(piece(id));
  }
  const bool has_blank = add_space_ && !ids.empty() && !is_special(ids[0]) && bytes.starts_with(' ');
  return has_blank ? bytes.substr(1) : bytes;
}

std::string_view Tokenizer::piece(TokenId id) const {
  HOTSET_CHECK(contains(id));
  return pieces_[static_cast<size_t>(id)];
}

bool Tokenizer::is_special(TokenId id) const {
  HOTSET_CHECK(contains(id));
  const TokenType type = types_[static_cast<size_t>(id)];
  return type == TokenType::kControl || type == TokenType::kUnknown || type == TokenType::kUnused;
}

bool Tokenizer::is_end_of_generation(TokenId id) const {
  return std::binary_search(end_of_generation_.begin(), end_of_generation_.end(), id);
}

}  // namespace hotset
