// Charsmap: SentencePiece's compiled table of normalisation (tokenizer.ggml.precompiled_charsmap).
//
// The bytes of a little-endian uint32, the size of a double array in bytes; that array, which maps beginnings of text to
// offsets; and, at those offsets, replacements that end with a zero byte. The array's units are those of Darts-clone
// (github.com/s-yata/darts-clone): bits 0-7 and 31 the label, 8 whether a value follows, 9 the scale of the offset, 10-30 the
// offset to the children; a value is bits 0-30. Immutable; every access is checked, so any bytes are safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/status.h"

namespace hotset {

class Charsmap {
 public:
  struct Match {
    size_t size_bytes = 0;  // 0: none
    std::string_view replacement;
  };

  Charsmap() = default;  // replaces nothing
  // Error: too short for the sizes it states.
  static Result<Charsmap> create(std::string_view bytes);

  // The replacement for the longest beginning of `text` that has one.
  Match longest(std::string_view text) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace hotset
