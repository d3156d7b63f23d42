// TextCursor: reads a text from left to right. Refers to the text, which must outlive it.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

namespace hotset {

class TextCursor {
 public:
  explicit TextCursor(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  char next() const { return rest_.empty() ? '\0' : rest_.front(); }

  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  void skip(size_t bytes) { rest_.remove_prefix(std::min(bytes, rest_.size())); }

  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  // The text before `end`, which is passed too; nullopt when it does not come.
  std::optional<std::string_view> until(std::string_view end) {
    const size_t place = rest_.find(end);
    if (place == std::string_view::npos) return std::nullopt;
    const std::string_view text = rest_.substr(0, place);
    rest_.remove_prefix(place + end.size());
    return text;
  }

  // The longest text of `characters` only, possibly nothing.
  std::string_view take_all_of(std::string_view characters) {
    const std::string_view text = rest_.substr(0, rest_.find_first_not_of(characters));
    rest_.remove_prefix(text.size());
    return text;
  }

 private:
  std::string_view rest_;
};

}  // namespace hotset
