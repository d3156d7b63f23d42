// Tokenizer: text to token ids and back, by byte-level byte-pair encoding.
//
// Made once from a model's vocabulary, owned by whoever opened the model, immutable; any thread may use it.
// encode() takes valid UTF-8 only; decode() gives bytes, which may stop inside a character (StreamDecoder puts them together).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/status.h"
#include "runtime/text/merge_table.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/token.h"

namespace hotset {

// Token types as GGUF numbers them (tokenizer.ggml.token_type).
enum class TokenType : int32_t {
  kNormal = 1,       // text in the byte-level alphabet
  kUnknown = 2,      // stands for what has no token
  kControl = 3,      // special: structure, not text
  kUserDefined = 4,  // added: its text is always taken as this token
  kUnused = 5,
  kByte = 6,         // "<0x41>"
};

// A vocabulary as a model file states it. Ids are kNoToken where the file says nothing.
struct Vocabulary {
  std::string model = "gpt2";  // the kind of tokenizer
  std::string pre;             // the pre-tokeniser's name
  std::vector<std::string> tokens;
  std::vector<int32_t> types;       // one TokenType a token; empty: all normal
  std::vector<std::string> merges;  // "left right", first ones first
  TokenId bos = kNoToken;
  TokenId eos = kNoToken;
  TokenId eot = kNoToken;
  TokenId pad = kNoToken;
  TokenId unk = kNoToken;
  std::optional<bool> add_bos;  // unset: what the pre-tokeniser's models want
  std::optional<bool> add_eos;  // unset: no
};

class Tokenizer {
 public:
  // Errors: a kind of tokenizer or pre-tokeniser that is not known; a vocabulary that is empty or contradicts itself.
  static Result<std::unique_ptr<Tokenizer>> create(Vocabulary vocabulary);

  // `parse_special` takes the text of control tokens for those tokens; added tokens are always taken. `add_special` puts the
  // beginning and end tokens around it where the vocabulary says so. Errors: invalid UTF-8 (names the byte offset); a byte
  // for which the vocabulary has no token.
  Result<std::vector<TokenId>> encode(std::string_view text, bool add_special, bool parse_special) const;

  // The bytes of all ids; special and unused tokens only when `show_special`. Error: an id outside the vocabulary.
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
  using TextIndex = std::unordered_map<std::string_view, TokenId>;
  struct Special {
    std::string_view text;
    TokenId id;
    bool always;  // also where parse_special is off
  };

  Tokenizer() = default;
  Status take_pieces(Vocabulary& vocabulary, const TextIndex& ids);
  Status take_merges(const Vocabulary& vocabulary, const TextIndex& ids);
  void take_specials();
  void take_end_of_generation(const TextIndex& ids);

  const Special* special_at(std::string_view text, size_t offset, bool parse_special) const;
  Status encode_plain(std::string_view text, WordMerger& merger, std::vector<std::string_view>& words,
                      std::vector<TokenId>& symbols, std::vector<TokenId>& ids) const;
  Status bytes_to_symbols(std::string_view word, std::vector<TokenId>& symbols) const;

  // All constant after create().
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::vector<std::string> pieces_;                       // [vocab] bytes of each token
  std::vector<TokenType> types_;                          // [vocab]
  TextIndex whole_words_;                                 // bytes of normal tokens; filled where merges may be ignored
  std::array<TokenId, 256> byte_tokens_{};
  MergeTable merges_;
  std::array<std::vector<Special>, 256> specials_;        // by first byte, longest first
  std::vector<TokenId> end_of_generation_;
  bool add_bos_ = false;
  bool add_eos_ = false;
  TokenId bos_ = kNoToken;
  TokenId eos_ = kNoToken;
  TokenId eot_ = kNoToken;
  TokenId pad_ = kNoToken;
  TokenId unk_ = kNoToken;
};

}  // namespace hotset
