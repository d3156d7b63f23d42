#include "runtime/text/character_encoder.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "runtime/text/merge_rules.h"
#include "runtime/text/spaces.h"
#include "runtime/text/utf8.h"

namespace hotset {

namespace {

bool is_mergeable(TokenType type) { return type == TokenType::kNormal || type == TokenType::kUserDefined; }

// Each token's place when all are sorted by falling score; equal scores share one.
std::vector<uint32_t> ranks_of(const Vocabulary& vocabulary) {
  std::vector<float> distinct = vocabulary.scores;
  for (float& score : distinct) score = score == score ? score : -std::numeric_limits<float>::infinity();
  const std::vector<float> scores = distinct;
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<uint32_t> ranks(vocabulary.tokens.size(), 0);
  for (size_t i = 0; i < scores.size(); ++i) {
    const auto place = std::lower_bound(distinct.begin(), distinct.end(), scores[i], std::greater<>());
    ranks[i] = static_cast<uint32_t>(place - distinct.begin());
  }
  return ranks;
}

bool starts_character(std::string_view text, size_t i) { return (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80; }

}  // namespace

Result<std::unique_ptr<CharacterEncoder>> CharacterEncoder::by_scores(const Vocabulary& vocabulary, const TextIndex& ids,
                                                                     const std::vector<std::string>& pieces) {
  std::unique_ptr<CharacterEncoder> encoder(new CharacterEncoder);
  encoder->take_characters(vocabulary, pieces);
  encoder->take_score_merges(vocabulary, pieces);
  encoder->fallback_ = ByteFallback(vocabulary, ids);
  encoder->adds_space_ = vocabulary.add_space_prefix.value_or(true);
  return encoder;
}

Result<std::unique_ptr<CharacterEncoder>> CharacterEncoder::by_list(const Vocabulary& vocabulary, const TextIndex& ids,
                                                                   const std::vector<std::string>& pieces) {
  std::unique_ptr<CharacterEncoder> encoder(new CharacterEncoder);
  encoder->take_characters(vocabulary, pieces);
  HOTSET_ASSIGN(encoder->merges_, merges_of_list(vocabulary, ids));
  encoder->fallback_ = ByteFallback(vocabulary, ids);
  encoder->adds_space_ = vocabulary.add_space_prefix.value_or(false);
  encoder->splits_newlines_ = true;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const bool is_run = !pieces[i].empty() && pieces[i].find_first_not_of('\n') == std::string::npos;
    if (is_run && is_mergeable(vocabulary.type_of(i))) encoder->newline_runs_.emplace(pieces[i], static_cast<TokenId>(i));
  }
  return encoder;
}

void CharacterEncoder::take_characters(const Vocabulary& vocabulary, const std::vector<std::string>& pieces) {
  ascii_.fill(kNoToken);
  first_unnamed_ = static_cast<TokenId>(pieces.size());
  first_unknown_ = first_unnamed_;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (!is_mergeable(vocabulary.type_of(i)) || pieces[i].empty()) continue;
    splits_words_ &= pieces[i].find(' ', std::min(pieces[i].find_first_not_of(' '), pieces[i].size())) == std::string::npos;
    const CodePoint c = utf8_code_point_at(pieces[i], 0);
    if (c.size_bytes != pieces[i].size() || utf8_length_at(pieces[i], 0) == 0) continue;
    characters_.emplace(c.value, static_cast<TokenId>(i));
    if (c.value < ascii_.size() && ascii_[c.value] == kNoToken) ascii_[c.value] = static_cast<TokenId>(i);
  }
}

// The symbol for one side of a merge: a token, or one character. kNoToken when it is neither.
TokenId CharacterEncoder::side_of(std::string_view text, const std::unordered_map<std::string_view, TokenId>& tokens) {
  const auto token = tokens.find(text);
  if (token != tokens.end()) return token->second;
  if (utf8_length_at(text, 0) != text.size()) return kNoToken;
  const CodePoint c = utf8_code_point_at(text, 0);
  const auto [place, is_new] = characters_.emplace(c.value, first_unknown_);
  if (is_new) {
    unnamed_.emplace_back(text);
    ++first_unknown_;
    if (c.value < ascii_.size()) ascii_[c.value] = place->second;
  }
  return place->second;
}

void CharacterEncoder::take_score_merges(const Vocabulary& vocabulary, const std::vector<std::string>& pieces) {
  std::unordered_map<std::string_view, TokenId> tokens;
  tokens.reserve(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (is_mergeable(vocabulary.type_of(i))) tokens.emplace(pieces[i], static_cast<TokenId>(i));
  }
  struct Pair {
    TokenId left;
    TokenId right;
    TokenId result;
  };
  std::vector<Pair> pairs;
  for (const auto& [text, id] : tokens) {
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if (!starts_character(text, cut)) continue;
      const TokenId left = side_of(text.substr(0, cut), tokens);
      if (left == kNoToken) continue;
      const TokenId right = side_of(text.substr(cut), tokens);
      if (right != kNoToken) pairs.push_back({left, right, id});
    }
  }
  const std::vector<uint32_t> ranks = ranks_of(vocabulary);
  merges_ = MergeTable(pairs.size());
  for (const Pair& pair : pairs) merges_.add(pair.left, pair.right, {ranks[static_cast<size_t>(pair.result)], pair.result});
}

Status CharacterEncoder::encode(std::string_view text, bool at_start, std::vector<TokenId>& ids) const {
  if (text.size() > static_cast<size_t>(std::numeric_limits<TokenId>::max() - first_unknown_ - 1)) {
    return error(Code::kInvalidArgument, "the text is too long: %zu bytes", text.size());
  }
  const std::string plain = (adds_space_ && at_start ? " " : "") + with_plain_spaces(text);
  WordMerger merger(merges_);
  std::vector<TokenId> symbols;
  const size_t first = ids.size();
  for (size_t begin = 0; begin < plain.size();) {
    const size_t end = word_end(plain, begin);
    const std::string_view word = std::string_view(plain).substr(begin, end - begin);
    const auto run = newline_runs_.find(word);
    if (run != newline_runs_.end()) ids.push_back(run->second);
    else HOTSET_RETURN_IF_ERROR(encode_word(word, first, merger, symbols, ids));
    begin = end;
  }
  return ok_status();
}

// Where the word at `begin` ends: beyond it nothing merges with it.
size_t CharacterEncoder::word_end(std::string_view text, size_t begin) const {
  if (splits_newlines_ && text[begin] == '\n') return std::min(text.find_first_not_of('\n', begin), text.size());
  size_t end = begin + 1;
  for (; end < text.size(); ++end) {
    if (splits_newlines_ && text[end] == '\n') break;
    if (splits_words_ && text[end] == ' ' && text[end - 1] != ' ') break;
  }
  return end;
}

Status CharacterEncoder::encode_word(std::string_view word, size_t first, WordMerger& merger, std::vector<TokenId>& symbols,
                                     std::vector<TokenId>& ids) const {
  symbols.clear();
  for (size_t at = 0; at < word.size();) {
    const CodePoint c = utf8_code_point_at(word, at);
    TokenId symbol = kNoToken;
    if (c.value < ascii_.size()) {
      symbol = ascii_[c.value];
    } else if (const auto place = characters_.find(c.value); place != characters_.end()) {
      symbol = place->second;
    }
    symbols.push_back(symbol != kNoToken ? symbol : first_unknown_ + static_cast<TokenId>(at));
    at += c.size_bytes;
  }
  merger.merge(symbols);
  for (const TokenId symbol : symbols) HOTSET_RETURN_IF_ERROR(emit(word, symbol, first, ids));
  return ok_status();
}

Status CharacterEncoder::emit(std::string_view word, TokenId symbol, size_t first, std::vector<TokenId>& ids) const {
  if (symbol < first_unnamed_) {
    ids.push_back(symbol);
    return ok_status();
  }
  if (symbol < first_unknown_) return fallback_.append(unnamed_[static_cast<size_t>(symbol - first_unnamed_)], first, ids);
  const auto at = static_cast<size_t>(symbol - first_unknown_);
  return fallback_.append(word.substr(at, utf8_code_point_at(word, at).size_bytes), first, ids);
}

}  // namespace hotset
