#include "platform/escape.h"

#include <cstdio>

namespace hotset {

std::string escape_controls(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\x%02x", byte);
    out += c == '\n' ? "\\n" : escape;
  }
  return out;
}

}  // namespace hotset
