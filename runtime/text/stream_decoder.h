// StreamDecoder: the text of a generation, token by token, never half a character.
//
// Special tokens are hidden unless asked for. Holds a reference to the tokenizer, which must outlive it. One thread at a time.
#pragma once

#include <string>
#include <string_view>

#include "runtime/text/tokenizer.h"
#include "runtime/text/utf8.h"

namespace hotset {

class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool show_special = false)
      : tokenizer_(tokenizer), show_special_(show_special) {}

  // The characters that `id` (in the vocabulary) completes, often none or several. Valid until the next call.
  std::string_view next(TokenId id);

  // What is left when the generation has ended: U+FFFD for an unfinished character, else nothing. Then starts anew.
  std::string_view finish();

 private:
  const Tokenizer& tokenizer_;
  const bool show_special_;
  Utf8Stream stream_;
  std::string text_;
};

}  // namespace hotset
