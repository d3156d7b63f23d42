#include "runtime/text/call_literals.h"

#include "runtime/text/json_text.h"
#include "runtime/text/utf8.h"

namespace hotset {

namespace {

constexpr int kMaxDepth = 64;
constexpr std::string_view kGemmaQuote = "<|\"|>";
constexpr std::string_view kHexDigits = "0123456789abcdefABCDEF";

std::optional<std::string> take_value(TextCursor& cursor, int depth);

// Of \xHH, \uHHHH and \UHHHHHHHH, behind the letter.
bool take_code(TextCursor& cursor, size_t digits, std::string& out) {
  const std::string_view text = cursor.rest().substr(0, digits);
  if (text.size() != digits || text.find_first_not_of(kHexDigits) != std::string_view::npos) return false;
  append_utf8(static_cast<uint32_t>(std::stoul(std::string(text), nullptr, 16)), out);
  cursor.skip(digits);
  return true;
}

// What follows a backslash. One that escapes nothing stands for itself.
bool take_escape(TextCursor& cursor, std::string& out) {
  const char c = cursor.next();
  cursor.skip(1);
  if (c == 'x') return take_code(cursor, 2, out);
  if (c == 'u') return take_code(cursor, 4, out);
  if (c == 'U') return take_code(cursor, 8, out);
  constexpr std::string_view kLetters = "ntr0bf\\'\"/";
  constexpr std::string_view kMeanings("\n\t\r\0\b\f\\'\"/", kLetters.size());
  const size_t place = kLetters.find(c);
  if (place != std::string_view::npos) out += kMeanings[place];
  else out.append("\\").append(1, c);
  return true;
}

// A text in quotes, without them.
std::optional<std::string> take_text(TextCursor& cursor) {
  if (cursor.take(kGemmaQuote)) {
    const auto text = cursor.until(kGemmaQuote);
    return text ? std::optional(std::string(*text)) : std::nullopt;
  }
  const char quote = cursor.next();
  if (quote != '"' && quote != '\'') return std::nullopt;
  cursor.skip(1);
  std::string out;
  while (!cursor.at_end()) {
    const char c = cursor.next();
    cursor.skip(1);
    if (c == quote) return out;
    if (c != '\\') out += c;
    else if (cursor.at_end() || !take_escape(cursor, out)) return std::nullopt;
  }
  return std::nullopt;
}

bool begins_text(const TextCursor& cursor) { return cursor.next() == '"' || cursor.next() == '\'' || cursor.rest().starts_with(kGemmaQuote); }

std::optional<std::string> take_list(TextCursor& cursor, char close, int depth) {
  std::string out = "[";
  for (cursor.skip_blanks(); !cursor.take({&close, 1}); cursor.skip_blanks()) {
    const auto value = take_value(cursor, depth + 1);
    if (!value) return std::nullopt;
    out += (out.size() > 1 ? ", " : "") + *value;
    cursor.skip_blanks();
    if (!cursor.take(",") && cursor.next() != close) return std::nullopt;
  }
  return out + "]";
}

std::optional<std::string> take_mapping(TextCursor& cursor, int depth) {
  std::string out = "{";
  for (cursor.skip_blanks(); !cursor.take("}"); cursor.skip_blanks()) {
    const auto key = begins_text(cursor) ? take_text(cursor) : std::optional(std::string(take_name(cursor)));
    cursor.skip_blanks();
    if (!key || key->empty() || !cursor.take(":")) return std::nullopt;
    const auto value = take_value(cursor, depth + 1);
    if (!value) return std::nullopt;
    out += (out.size() > 1 ? ", " : "") + json_quoted(*key) + ": " + *value;
    cursor.skip_blanks();
    if (!cursor.take(",") && cursor.next() != '}') return std::nullopt;
  }
  return out + "}";
}

// A number, or the name of a constant.
std::optional<std::string> take_word(TextCursor& cursor) {
  const std::string_view word = cursor.take_all_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_+-.");
  if (word == "True") return "true";
  if (word == "False") return "false";
  if (word == "None") return "null";
  return is_json(word) ? std::optional(std::string(word)) : std::nullopt;
}

std::optional<std::string> take_value(TextCursor& cursor, int depth) {
  if (depth > kMaxDepth) return std::nullopt;
  cursor.skip_blanks();
  if (begins_text(cursor)) {
    const auto text = take_text(cursor);
    return text ? std::optional(json_quoted(*text)) : std::nullopt;
  }
  if (cursor.take("[")) return take_list(cursor, ']', depth);
  if (cursor.take("(")) return take_list(cursor, ')', depth);
  if (cursor.take("{")) return take_mapping(cursor, depth);
  return take_word(cursor);
}

}  // namespace

std::optional<std::string> take_literal(TextCursor& cursor) { return take_value(cursor, 0); }

std::string_view take_name(TextCursor& cursor) {
  return cursor.take_all_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
}

}  // namespace hotset
