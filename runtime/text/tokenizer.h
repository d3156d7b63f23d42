// Tokenizer: text to token ids and back.
//
// Kinds, as files name them: "gpt2" (byte-level byte-pair encoding), "llama" (SentencePiece's, by scores), "gemma4" (the same
// with a list of merges) and "t5" (SentencePiece's unigram model).
//
// Made once from a model's vocabulary, owned by whoever opened the model, immutable; any thread may use it.
// encode() takes valid UTF-8 only; decode() gives bytes, which may stop inside a character (StreamDecoder puts them together).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/status.h"
#include "runtime/text/fragment_encoder.h"
#include "runtime/text/token.h"
#include "runtime/text/token_trie.h"
#include "runtime/text/vocabulary.h"

namespace hotset {

class Tokenizer {
 public:
  // An unknown pre-tokeniser is a warning in the log, not an error. Errors: a kind of tokenizer that is not known; a vocabulary
  // that is empty or contradicts itself.
  static Result<std::unique_ptr<Tokenizer>> create(Vocabulary vocabulary);

  // `parse_special` takes the text of control tokens for those tokens; added tokens are always taken. `add_special` puts the
  // beginning and end tokens around it where the vocabulary says so. Errors: invalid UTF-8 (names the byte offset); a byte
  // for which the vocabulary has no token.
  Result<std::vector<TokenId>> encode(std::string_view text, bool add_special, bool parse_special) const;

  // The bytes of all ids as one text, so the blank that some kinds put before a text is left out; special and unused tokens
  // only when `show_special`. Error: an id outside the vocabulary.
  Result<std::string> decode(std::span<const TokenId> ids, bool show_special) const;

  // The bytes of one token, special or not. `id` must be in the vocabulary. Valid as long as the tokenizer.
  std::string_view piece(TokenId id) const;

  bool contains(TokenId id) const { return id >= 0 && static_cast<size_t>(id) < pieces_.size(); }
  // Control, unknown and unused tokens: not shown in text.
  bool is_special(TokenId id) const;
  // A token after which a model has said all: eos, eot and those that are known by name.
  bool is_end_of_generation(TokenId id) const;
  // All of them, ascending.
  const std::vector<TokenId>& end_of_generation() const { return end_of_generation_; }

  uint32_t vocab_size() const { return static_cast<uint32_t>(pieces_.size()); }
  bool adds_bos() const { return add_bos_; }
  bool adds_eos() const { return add_eos_; }
  TokenId bos() const { return bos_; }
  TokenId eos() const { return eos_; }
  TokenId eot() const { return eot_; }
  TokenId pad() const { return pad_; }

 private:
  Tokenizer() = default;
  Status take_pieces(const Vocabulary& vocabulary);
  Status take_encoder(const Vocabulary& vocabulary, const TextIndex& ids);
  void take_end_of_generation(const Vocabulary& vocabulary, const TextIndex& ids);
  void take_specials(const Vocabulary& vocabulary, const TextIndex& ids);

  // All constant after create().
  std::vector<std::string> pieces_;  // [vocab] bytes of each token
  std::vector<TokenType> types_;     // [vocab]
  std::unique_ptr<FragmentEncoder> encoder_;
  TokenTrie added_;                  // tokens that are always taken
  TokenTrie specials_;               // these and the special ones
  std::vector<bool> strips_right_;   // [vocab] or empty: blanks after this token belong to it
  std::vector<TokenId> end_of_generation_;
  bool add_space_ = false;
  bool add_bos_ = false;
  bool add_eos_ = false;
  TokenId bos_ = kNoToken;
  TokenId eos_ = kNoToken;
  TokenId eot_ = kNoToken;
  TokenId pad_ = kNoToken;
};

}  // namespace hotset
