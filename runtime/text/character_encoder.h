// CharacterEncoder: byte-pair encoding over the characters of a whole text, as SentencePiece has it: blanks are part of the
// text ("llama": merges by score) or of a line ("gemma4": merges by a list). What has no token is written as bytes.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>

#include "runtime/text/byte_fallback.h"
#include "runtime/text/fragment_encoder.h"
#include "runtime/text/merge_table.h"
#include "runtime/text/vocabulary.h"

namespace hotset {

class CharacterEncoder final : public FragmentEncoder {
 public:
  // `pieces`: the text of each token, with plain blanks; they must outlive the encoder. Neighbours merge when together they
  // are a token, the one with the highest score first. A text at the start gets a blank before it unless the file says no.
  static Result<std::unique_ptr<CharacterEncoder>> by_scores(const Vocabulary& vocabulary, const TextIndex& ids,
                                                             const std::vector<std::string>& pieces);
  // Merges come from the vocabulary's list; runs of newlines are words of their own, whole if they are a token.
  static Result<std::unique_ptr<CharacterEncoder>> by_list(const Vocabulary& vocabulary, const TextIndex& ids,
                                                           const std::vector<std::string>& pieces);

  Status encode(std::string_view text, bool at_start, std::vector<TokenId>& ids) const override;

 private:
  CharacterEncoder() = default;
  void take_characters(const Vocabulary& vocabulary, const std::vector<std::string>& pieces);
  void take_score_merges(const Vocabulary& vocabulary, const std::vector<std::string>& pieces);
  TokenId side_of(std::string_view text, const std::unordered_map<std::string_view, TokenId>& tokens);
  size_t word_end(std::string_view text, size_t begin) const;
  Status encode_word(std::string_view word, size_t first, WordMerger& merger, std::vector<TokenId>& symbols,
                     std::vector<TokenId>& ids) const;
  Status emit(std::string_view word, TokenId symbol, size_t first, std::vector<TokenId>& ids) const;

  // Symbols below first_unnamed_ are tokens. Next come characters that merge though they are no tokens; from first_unknown_
  // on, a symbol says at which byte of the word its unknown character is.
  std::unordered_map<uint32_t, TokenId> characters_;  // code point -> symbol
  std::array<TokenId, 128> ascii_{};                  // the same for ASCII; kNoToken: unknown
  std::vector<std::string> unnamed_;
  TokenId first_unnamed_ = 0;
  TokenId first_unknown_ = 0;

  MergeTable merges_;
  ByteFallback fallback_;
  std::unordered_map<std::string_view, TokenId> newline_runs_;  // tokens; empty unless newlines part words
  bool splits_newlines_ = false;
  bool splits_words_ = true;  // no token has a blank after another character, so no merge crosses the begin of a word
  bool adds_space_ = false;
};

}  // namespace hotset
