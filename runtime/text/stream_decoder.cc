#include "runtime/text/stream_decoder.h"

namespace hotset {

std::string_view StreamDecoder::next(TokenId id) {
  text_.clear();
  if (show_special_ || !tokenizer_.is_special(id)) stream_.push(tokenizer_.piece(id), text_);
  return text_;
}

std::string_view StreamDecoder::finish() {
  text_.clear();
  stream_.flush(text_);
  return text_;
}

}  // namespace hotset
