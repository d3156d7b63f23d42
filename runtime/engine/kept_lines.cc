#include "runtime/engine/kept_lines.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace hotset {

std::string decimal(double value) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}

bool read_number(std::string_view text, double most, double& value) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && std::isfinite(value) && value >= 0 && value <= most;
}

std::string_view cut_word(std::string_view& rest) {
  const size_t at = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return word;
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

Status unknown_line(std::string_view line) {
  return error(Code::kCorrupt, "'%.*s' is not one of its lines", static_cast<int>(std::min<size_t>(line.size(), 60)), line.data());
}

Status read_kept_lines(std::string_view text, std::string_view first_line, std::string_view owner_lines, const char* owner,
                       const std::function<Status(std::string_view line)>& read) {
  if (text.substr(0, text.find('\n')) != first_line || text.size() == first_line.size()) {
    return error(Code::kInvalidArgument, "it is no file of this version");
  }
  if (!text.starts_with(owner_lines)) return error(Code::kInvalidArgument, "it is of another %s", owner);
  for (std::string_view rest = text.substr(owner_lines.size()); !rest.empty();) {
    const size_t end = rest.find('\n');
    if (end == rest.npos) return error(Code::kCorrupt, "its last line is cut short");
    HOTSET_RETURN_IF_ERROR(read(rest.substr(0, end)));
    rest.remove_prefix(end + 1);
  }
  return ok_status();
}

}  // namespace hotset
