// Vocabulary: what a model file says about its tokens (the tokenizer.ggml.* keys), for the Tokenizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/status.h"
#include "runtime/text/token.h"

namespace hotset {

class GgufFile;

// Token types as GGUF numbers them (tokenizer.ggml.token_type).
enum class TokenType : int32_t {
  kNormal = 1,       // text, in the notation of the kind of tokenizer
  kUnknown = 2,      // stands for what has no token
  kControl = 3,      // special: structure, not text
  kUserDefined = 4,  // added: its text is always taken as this token
  kUnused = 5,
  kByte = 6,  // "<0x41>"
};

// A vocabulary as a model file states it. Ids are kNoToken where the file says nothing.
struct Vocabulary {
  std::string model = "gpt2";  // the kind of tokenizer: "gpt2", "llama", "t5", "gemma4"
  std::string pre;             // the pre-tokeniser's name
  std::string name;            // the model's
  std::vector<std::string> tokens;
  std::vector<int32_t> types;       // one TokenType a token; empty: all normal
  std::vector<float> scores;        // one a token, higher is better; empty: all 0
  std::vector<std::string> merges;  // "left right", first ones first
  std::string charsmap;             // "t5": how text is normalised (charsmap.h)
  TokenId bos = kNoToken;
  TokenId eos = kNoToken;
  TokenId eot = kNoToken;
  TokenId pad = kNoToken;
  TokenId unk = kNoToken;
  std::vector<TokenId> ends;  // more tokens after which generation ends
  // Unset: what the kind of tokenizer and its pre-tokeniser's models want.
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;
  std::optional<bool> add_space_prefix;
  std::optional<bool> merge_spaces;  // several blanks count as one, outer ones as none

  TokenType type_of(size_t id) const { return types.empty() ? TokenType::kNormal : static_cast<TokenType>(types[id]); }
};

// Tokens by their text as the vocabulary writes it. Views, which live as long as the texts.
using TextIndex = std::unordered_map<std::string_view, TokenId>;

// Error: two tokens are the same.
Result<TextIndex> index_tokens(const std::vector<std::string>& tokens);

// Sizes, types and ids. Errors: no or too many tokens, lists of different lengths, a type or an id that cannot be.
Status check_vocabulary(const Vocabulary& vocabulary);

// A token's text as an error message can show it.
std::string shown_token(std::string_view text);

// The byte of "<0x41>".
std::optional<uint8_t> byte_of_name(std::string_view text);

// Copies everything, so the file may be closed. Errors: no vocabulary, or keys of a wrong type.
Result<Vocabulary> read_vocabulary(const GgufFile& file);

}  // namespace hotset
