#include "runtime/text/spaces.h"

namespace hotset {

std::string with_plain_spaces(std::string_view text) {
  constexpr std::string_view kMark = "\xE2\x96\x81";
  std::string out;
  out.reserve(text.size());
  size_t begin = 0;
  for (size_t at = text.find(kMark); at != std::string_view::npos; at = text.find(kMark, begin)) {
    out.append(text.substr(begin, at - begin)).push_back(' ');
    begin = at + kMark.size();
  }
  return out.append(text.substr(begin));
}

}  // namespace hotset
