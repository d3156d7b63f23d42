// SentencePiece writes blanks as U+2581; here they are plain blanks in pieces and in text.
#pragma once

#include <string>
#include <string_view>

namespace hotset {

// `text` with each U+2581 as a blank.
std::string with_plain_spaces(std::string_view text);

}  // namespace hotset
