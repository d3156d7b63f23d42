// UTF-8: validation, code points, and whole characters out of bytes that come in pieces.
//
// Valid means as the Unicode standard says: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hotset {

// Offset of the first byte that does not start a whole valid character; npos when all of `text` is valid.
size_t find_invalid_utf8(std::string_view text);

// Bytes of the valid character at `offset`; 0 when there is none.
size_t utf8_length_at(std::string_view text, size_t offset);

struct CodePoint {
  uint32_t value = 0;
  size_t size_bytes = 0;
};

// The character at `offset` (below the text's size); an invalid byte reads as U+FFFD of one byte.
CodePoint utf8_code_point_at(std::string_view text, size_t offset);

// Appends `code_point`; what is no Unicode scalar value becomes U+FFFD.
void append_utf8(uint32_t code_point, std::string& out);

// Takes bytes piecewise and hands on whole characters only. Each maximal invalid sequence becomes one U+FFFD, as soon as it
// is known to be invalid (the WHATWG decoder's rule). One thread at a time.
class Utf8Stream {
 public:
  // Appends to `out` the characters that `bytes` completes.
  void push(std::string_view bytes, std::string& out);

  // Ends the stream: a character that was begun and not finished becomes U+FFFD. The stream can be used anew.
  void flush(std::string& out);

 private:
  void start(unsigned char byte, std::string& out);

  // A begun character: pending_count_ bytes are here, missing_ more are due, the next within [next_min_, next_max_].
  std::array<char, 4> pending_{};
  size_t pending_count_ = 0;
  size_t missing_ = 0;
  unsigned char next_min_ = 0x80;
  unsigned char next_max_ = 0xBF;
};

}  // namespace hotset
