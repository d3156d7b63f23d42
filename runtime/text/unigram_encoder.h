// UnigramEncoder: SentencePiece's unigram model ("t5"): of all ways to cut a text into tokens the one whose scores sum highest.
#pragma once

#include <memory>
#include <string>

#include "runtime/text/byte_fallback.h"
#include "runtime/text/charsmap.h"
#include "runtime/text/fragment_encoder.h"
#include "runtime/text/token_trie.h"
#include "runtime/text/vocabulary.h"

namespace hotset {

class UnigramEncoder final : public FragmentEncoder {
 public:
  // `pieces`: the text of each token, with plain blanks. Error: a table of characters that contradicts itself.
  static Result<std::unique_ptr<UnigramEncoder>> create(const Vocabulary& vocabulary, const TextIndex& ids,
                                                        const std::vector<std::string>& pieces);

  Status encode(std::string_view text, bool at_start, std::vector<TokenId>& ids) const override;

 private:
  // The best way to cut the text before some byte: the token that ends there, kNoToken for a character that has none.
  struct Step {
    double score;
    size_t begin;
    TokenId id;
  };

  UnigramEncoder() = default;
  void take_tokens(const Vocabulary& vocabulary, const std::vector<std::string>& pieces);
  std::string normalised(std::string_view text) const;
  std::vector<Step> best_steps(std::string_view text) const;

  TokenTrie trie_;
  std::vector<double> scores_;  // [vocab]
  double unknown_score_ = 0;
  Charsmap charsmap_;
  ByteFallback fallback_;
  bool adds_space_ = true;
  bool merges_spaces_ = true;
};

}  // namespace hotset
