// FragmentEncoder: turns text without special tokens into tokens; one implementation for each kind of tokenizer.
//
// Immutable after creation; any thread may encode.
#pragma once

#include <string_view>
#include <vector>

#include "platform/status.h"
#include "runtime/text/token.h"

namespace hotset {

class FragmentEncoder {
 public:
  virtual ~FragmentEncoder() = default;

  // Appends the tokens of `text` (valid UTF-8, not empty). `at_start`: nothing but a special token came before it.
  // Error: a character for which the vocabulary has no token.
  virtual Status encode(std::string_view text, bool at_start, std::vector<TokenId>& ids) const = 0;

 protected:
  FragmentEncoder() = default;
  FragmentEncoder(const FragmentEncoder&) = delete;
  FragmentEncoder& operator=(const FragmentEncoder&) = delete;
};

}  // namespace hotset
