#include "platform/local_time.h"

#include <string_view>

namespace hotset {
namespace {

// The C library ends the process, or says nothing, at a conversion that it does not know; the older one knows those of C89 alone.
constexpr std::string_view kKnown = "aAbBdHIjmMpSUwWyYZ%";

// Other conversions by those.
const char* spelled_out(char conversion) {
  switch (conversion) {
    case 'c': return "%a %b %d %H:%M:%S %Y";
    case 'D': return "%m/%d/%y";
    case 'F': return "%Y-%m-%d";
    case 'h': return "%b";
    case 'n': return "\n";
    case 'r': return "%I:%M:%S %p";
    case 'R': return "%H:%M";
    case 't': return "\t";
    case 'T': return "%H:%M:%S";
    case 'x': return "%m/%d/%y";
    case 'X': return "%H:%M:%S";
    default: return nullptr;
  }
}

std::string text_of(const char* pattern, const std::tm& time) {
  char buffer[128];
  return std::string(buffer, std::strftime(buffer, sizeof buffer, pattern, &time));
}

// One conversion: its letter, and how zeros in front are written: '0' as they are, '-' not, '_' as spaces.
std::optional<std::string> converted(char letter, char zeros, const std::tm& time) {
  if (letter == 'e') return converted('d', zeros == '0' ? '_' : zeros, time);
  if (const char* longer = spelled_out(letter)) return text_of(longer, time);
  if (kKnown.find(letter) == std::string_view::npos) return std::nullopt;
  const char pattern[] = {'%', letter, 0};
  std::string text = text_of(pattern, time);
  for (size_t i = 0; zeros == '_' && i + 1 < text.size() && text[i] == '0'; ++i) text[i] = ' ';
  while (zeros == '-' && text.size() > 1 && text[0] == '0') text.erase(0, 1);
  return text;
}

}  // namespace

std::tm local_time_now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm now = {};
  ::localtime_s(&now, &seconds);
  return now;
}

std::optional<std::string> time_text(const std::string& pattern, const std::tm& time) {
  std::string text;
  for (size_t i = 0; i < pattern.size() && text.size() < 4096; ++i) {
    if (pattern[i] != '%') {
      text += pattern[i];
      continue;
    }
    const bool marked = i + 2 < pattern.size() && (pattern[i + 1] == '-' || pattern[i + 1] == '_');
    const char zeros = marked ? pattern[i + 1] : '0';
    i += marked ? 2 : 1;
    const auto part = i < pattern.size() ? converted(pattern[i], zeros, time) : std::nullopt;
    if (!part) return std::nullopt;
    text += *part;
  }
  if (text.size() >= 4096) return std::nullopt;
  return text;
}

}  // namespace hotset
