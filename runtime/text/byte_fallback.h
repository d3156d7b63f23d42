// ByteFallback: how a character without a token is written: as the tokens of its bytes ("<0x41>"), else as the unknown token.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "platform/status.h"
#include "runtime/text/vocabulary.h"

namespace hotset {

class ByteFallback {
 public:
  ByteFallback() { byte_tokens_.fill(kNoToken); }
  ByteFallback(const Vocabulary& vocabulary, const TextIndex& ids);

  // Appends the tokens for `character`. Neighbouring unknowns of one text are one token: `ids` holds `first` to the end of it.
  // Error: the vocabulary has neither its bytes nor an unknown token.
  Status append(std::string_view character, size_t first, std::vector<TokenId>& ids) const;

 private:
  std::array<TokenId, 256> byte_tokens_;
  TokenId unk_ = kNoToken;
};

}  // namespace hotset
