#include "runtime/text/tokenizer.h"

#include <algorithm>

#include "platform/check.h"
#include "runtime/text/byte_alphabet.h"
#include "runtime/text/utf8.h"

namespace hotset {

namespace {

using TextIndex = std::unordered_map<std::string_view, TokenId>;

// Far above any real vocabulary (the largest have 262 144 tokens); keeps ids within 32 bits.
constexpr size_t kMaxTokens = size_t{1} << 24;

// Names under which models end their turn; the first that exists is eot where the file names none.
constexpr std::string_view kEndOfTurnNames[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]",
    "<｜end▁of▁sentence｜>", "<end_of_utterance>",
};

// Names after which generation ends, beside eos and eot. File-completion models end at padding, repository and file marks.
constexpr std::string_view kEndNames[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
    "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>",
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>",
    "<|file_sep|>",
};

// A token's text as an error message can show it.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 40)) out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c);
  return out;
}

Result<TextIndex> index_tokens(const std::vector<std::string>& tokens) {
  TextIndex ids;
  ids.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto [place, is_new] = ids.emplace(tokens[i], static_cast<TokenId>(i));
    if (!is_new) {
      return error(Code::kCorrupt, "vocabulary: tokens %d and %zu are the same ('%s')",
                   place->second, i, shown(tokens[i]).c_str());
    }
  }
  return ids;
}

Status check_id(const char* name, TokenId id, size_t token_count) {
  if (id == kNoToken || (id >= 0 && static_cast<size_t>(id) < token_count)) return ok_status();
  return error(Code::kCorrupt, "vocabulary: %s token %d is outside the %zu tokens", name, id, token_count);
}

Status check_vocabulary(const Vocabulary& v) {
  if (v.model != "gpt2") {
    return error(Code::kUnsupported, "unknown kind of tokenizer '%s' (known: gpt2)", shown(v.model).c_str());
  }
  if (v.tokens.empty()) return error(Code::kCorrupt, "vocabulary: no tokens");
  if (v.tokens.size() > kMaxTokens) return error(Code::kUnsupported, "vocabulary: %zu tokens are too many", v.tokens.size());
  if (!v.types.empty() && v.types.size() != v.tokens.size()) {
    return error(Code::kCorrupt, "vocabulary: %zu token types for %zu tokens", v.types.size(), v.tokens.size());
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
  return check_id("unknown", v.unk, v.tokens.size());
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte of "<0x41>".
std::optional<std::string> byte_of_name(std::string_view text) {
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return std::nullopt;
  const int high = hex_digit(text[3]);
  const int low = hex_digit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return std::string(1, static_cast<char>(high * 16 + low));
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::create(Vocabulary vocabulary) {
  HOTSET_RETURN_IF_ERROR(check_vocabulary(vocabulary));
  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer);
  HOTSET_ASSIGN(tokenizer->pre_tokenizer_, PreTokenizer::create(vocabulary.pre));
  tokenizer->bos_ = vocabulary.bos;
  tokenizer->eos_ = vocabulary.eos;
  tokenizer->eot_ = vocabulary.eot;
  tokenizer->pad_ = vocabulary.pad;
  tokenizer->unk_ = vocabulary.unk;
  tokenizer->add_bos_ = vocabulary.add_bos.value_or(tokenizer->pre_tokenizer_->adds_bos());
  tokenizer->add_eos_ = vocabulary.add_eos.value_or(false);

  HOTSET_ASSIGN(const TextIndex ids, index_tokens(vocabulary.tokens));
  HOTSET_RETURN_IF_ERROR(tokenizer->take_merges(vocabulary, ids));
  tokenizer->take_end_of_generation(ids);
  HOTSET_RETURN_IF_ERROR(tokenizer->take_pieces(vocabulary, ids));
  tokenizer->take_specials();
  return tokenizer;
}

Status Tokenizer::take_pieces(Vocabulary& vocabulary, const TextIndex& ids) {
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const auto place = ids.find(byte_alphabet_character(static_cast<uint8_t>(byte)));
    byte_tokens_[byte] = place == ids.end() ? kNoToken : place->second;
  }
  const size_t count = vocabulary.tokens.size();
  pieces_.reserve(count);
  types_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const auto type = vocabulary.types.empty() ? TokenType::kNormal : static_cast<TokenType>(vocabulary.types[i]);
    const std::string& text = vocabulary.tokens[i];
    std::optional<std::string> bytes = text;
    if (text.empty() && type != TokenType::kUnused) return error(Code::kCorrupt, "vocabulary: token %zu is empty", i);
    if (type == TokenType::kNormal) bytes = bytes_from_alphabet(text);
    if (type == TokenType::kByte) bytes = byte_of_name(text);
    if (!bytes) {
      return error(Code::kCorrupt, "vocabulary: token %zu ('%s') is not written in the byte-level alphabet",
                   i, shown(text).c_str());
    }
    types_.push_back(type);
    pieces_.push_back(std::move(*bytes));
  }
  if (!pre_tokenizer_->ignore_merges()) return ok_status();
  whole_words_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    if (types_[i] == TokenType::kNormal) whole_words_.emplace(pieces_[i], static_cast<TokenId>(i));
  }
  return ok_status();
}

Status Tokenizer::take_merges(const Vocabulary& vocabulary, const TextIndex& ids) {
  merges_ = MergeTable(vocabulary.merges.size());
  std::string joined;
  for (size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const std::string_view merge = vocabulary.merges[i];
    // The alphabet has no space, so the first space is the only one.
    const size_t space = merge.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == merge.size()) {
      return error(Code::kCorrupt, "vocabulary: merge %zu ('%s') is not two tokens", i, shown(merge).c_str());
    }
    joined.assign(merge.substr(0, space)).append(merge.substr(space + 1));
    const auto left = ids.find(merge.substr(0, space));
    const auto right = ids.find(merge.substr(space + 1));
    const auto result = ids.find(joined);
    if (left == ids.end() || right == ids.end() || result == ids.end()) {
      return error(Code::kCorrupt, "vocabulary: merge %zu ('%s') names a token that does not exist",
                   i, shown(merge).c_str());
    }
    merges_.add(left->second, right->second, {static_cast<uint32_t>(i), result->second});
  }
  return ok_status();
}

void Tokenizer::take_specials() {
  for (size_t i = 0; i < pieces_.size(); ++i) {
    const bool always = types_[i] == TokenType::kUserDefined;
    if (!always && types_[i] != TokenType::kControl && types_[i] != TokenType::kUnknown) continue;
    specials_[static_cast<unsigned char>(pieces_[i][0])].push_back({pieces_[i], static_cast<TokenId>(i), always});
  }
  for (auto& bucket : specials_) {
    std::stable_sort(bucket.begin(), bucket.end(),
                     [](const Special& a, const Special& b) { return a.text.size() > b.text.size(); });
  }
}

void Tokenizer::take_end_of_generation(const TextIndex& ids) {
  if (eot_ == kNoToken) {
    for (const std::string_view name : kEndOfTurnNames) {
      const auto place = ids.find(name);
      if (place == ids.end()) continue;
      eot_ = place->second;
      break;
    }
  }
  for (const std::string_view name : kEndNames) {
    const auto place = ids.find(name);
    if (place != ids.end()) end_of_generation_.push_back(place->second);
  }
  if (eos_ != kNoToken) end_of_generation_.push_back(eos_);
  if (eot_ != kNoToken) end_of_generation_.push_back(eot_);
  // Where answers end with <|return|> and calls with <|call|>, <|end|> only parts the messages of one answer (gpt-oss).
  if (ids.count("<|return|>") != 0 && ids.count("<|call|>") != 0 && ids.count("<|end|>") != 0) {
    std::erase(end_of_generation_, ids.at("<|end|>"));
  }
  std::sort(end_of_generation_.begin(), end_of_generation_.end());
  end_of_generation_.erase(std::unique(end_of_generation_.begin(), end_of_generation_.end()), end_of_generation_.end());
}

const Tokenizer::Special* Tokenizer::special_at(std::string_view text, size_t offset, bool parse_special) const {
  for (const Special& special : specials_[static_cast<unsigned char>(text[offset])]) {
    if ((parse_special || special.always) && text.substr(offset).starts_with(special.text)) return &special;
  }
  return nullptr;
}

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, bool add_special, bool parse_special) const {
  const size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    return error(Code::kInvalidArgument, "invalid UTF-8 at byte %zu of the text", invalid);
  }

  std::vector<TokenId> ids;
  std::vector<TokenId> symbols;
  std::vector<std::string_view> words;
  WordMerger merger(merges_);
  if (add_special && add_bos_ && bos_ != kNoToken) ids.push_back(bos_);
  size_t plain_begin = 0;
  for (size_t offset = 0; offset < text.size();) {
    const Special* special = special_at(text, offset, parse_special);
    if (special == nullptr) {
      ++offset;
      continue;
    }
    HOTSET_RETURN_IF_ERROR(encode_plain(text.substr(plain_begin, offset - plain_begin), merger, words, symbols, ids));
    ids.push_back(special->id);
    offset += special->text.size();
    plain_begin = offset;
  }
  HOTSET_RETURN_IF_ERROR(encode_plain(text.substr(plain_begin), merger, words, symbols, ids));
  if (add_special && add_eos_ && eos_ != kNoToken) ids.push_back(eos_);
  return ids;
}

Status Tokenizer::encode_plain(std::string_view text, WordMerger& merger, std::vector<std::string_view>& words,
                               std::vector<TokenId>& symbols, std::vector<TokenId>& ids) const {
  if (text.empty()) return ok_status();
  words.clear();
  HOTSET_RETURN_IF_ERROR(pre_tokenizer_->split(text, words));
  for (const std::string_view word : words) {
    if (!whole_words_.empty()) {
      const auto whole = whole_words_.find(word);
      if (whole != whole_words_.end()) {
        ids.push_back(whole->second);
        continue;
      }
    }
    HOTSET_RETURN_IF_ERROR(bytes_to_symbols(word, symbols));
    merger.merge(symbols);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }
  return ok_status();
}

Status Tokenizer::bytes_to_symbols(std::string_view word, std::vector<TokenId>& symbols) const {
  symbols.clear();
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    const TokenId id = byte_tokens_[byte] != kNoToken ? byte_tokens_[byte] : unk_;
    if (id == kNoToken) return error(Code::kInvalidArgument, "the vocabulary has no token for byte 0x%02X", byte);
    symbols.push_back(id);
  }
  return ok_status();
}

Result<std::string> Tokenizer::decode(std::span<const TokenId> ids, bool show_special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (!contains(id)) return error(Code::kInvalidArgument, "token %d is outside the vocabulary of %u", id, vocab_size());
    if (show_special || !is_special(id)) bytes.append(piece(id));
  }
  return bytes;
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
