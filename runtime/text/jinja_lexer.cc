#include "runtime/text/jinja_lexer.h"

#include "runtime/text/utf8.h"

namespace hotset::jinja {

namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) {
    source_.reserve(source.size());
    for (size_t i = 0; i < source.size(); ++i) {  // newlines of any kind count as \n
      if (source[i] != '\r') {
        source_.push_back(source[i]);
      } else if (i + 1 == source.size() || source[i + 1] != '\n') {
        source_.push_back('\n');
      }
    }
    if (!source_.empty() && source_.back() == '\n') source_.pop_back();
  }

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const size_t tag = find_tag();
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      take_text(tag, sign);
      if (at_ >= source_.size()) break;
      const char kind = source_[at_ + 1];
      advance(sign == '-' || sign == '+' ? 3 : 2);
      if (kind == '#') {
        HOTSET_RETURN_IF_ERROR(skip_comment());
      } else if (kind == '%') {
        HOTSET_RETURN_IF_ERROR(take_block());
      } else {
        HOTSET_RETURN_IF_ERROR(take_tag(TokenKind::kOutputBegin, TokenKind::kOutputEnd, '}'));
      }
      line_starting_ = at_ > 0 && source_[at_ - 1] == '\n';
    }
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  bool starts_with(std::string_view text) const { return std::string_view(source_).substr(at_).starts_with(text); }

  void advance(size_t count) {
    for (; count > 0 && at_ < source_.size(); --count) line_ += source_[at_++] == '\n' ? 1 : 0;
  }
  void skip_space() {
    while (at_ < source_.size() && is_space(source_[at_])) advance(1);
  }

  // The next {{, {% or {#; the source's end when there is none.
  size_t find_tag() const {
    for (size_t i = source_.find('{', at_); i != std::string::npos; i = source_.find('{', i + 1)) {
      if (i + 1 < source_.size() && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#')) return i;
    }
    return source_.size();
  }

  // Emits the text before the tag at `tag`, less what the tag strips from it.
  void take_text(size_t tag, char sign) {
    std::string_view text = std::string_view(source_).substr(at_, tag - at_);
    if (tag < source_.size()) {
      if (sign == '-') {
        while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
      } else if (sign != '+' && source_[tag + 1] != '{') {
        text = without_indent(text);
      }
    }
    if (!text.empty()) add(TokenKind::kText, std::string(text));
    advance(tag - at_);
  }

  // Drops the blanks between the start of the line and a block.
  std::string_view without_indent(std::string_view text) const {
    const size_t newline = text.rfind('\n');
    if (newline == std::string_view::npos && !line_starting_) return text;
    const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    for (size_t i = begin; i < text.size(); ++i) {
      if (!is_space(text[i])) return text;
    }
    return text.substr(0, begin);
  }

  // Passes the end of a block or comment ("%}", "-%}", "+%}") when it is here, with the white space that goes with it.
  bool pass_end(char mark) {
    const char plain[] = {mark, '}', '\0'};
    if (starts_with(plain)) {
      advance(2);
      if (mark != '}' && at_ < source_.size() && source_[at_] == '\n') advance(1);
      return true;
    }
    const bool minus = starts_with("-");
    if (!minus && !(mark != '}' && starts_with("+"))) return false;
    if (!std::string_view(source_).substr(at_ + 1).starts_with(plain)) return false;
    advance(3);
    if (minus) skip_space();
    return true;
  }

  Status skip_comment() {
    const int begin_line = line_;
    while (at_ < source_.size()) {
      if (pass_end('#')) return ok_status();
      advance(1);
    }
    return error(Code::kInvalidArgument, "line %d: comment without end", begin_line);
  }

  Status take_block() {
    const size_t begin = at_;
    const int begin_line = line_;
    skip_space();
    if (starts_with("raw")) {
      advance(3);
      skip_space();
      if (pass_end('%')) return take_raw();
    }
    at_ = begin;
    line_ = begin_line;
    return take_tag(TokenKind::kBlockBegin, TokenKind::kBlockEnd, '%');
  }

  Status take_raw() {
    const int begin_line = line_;
    const size_t begin = at_;
    line_starting_ = begin > 0 && source_[begin - 1] == '\n';
    for (; at_ < source_.size(); advance(1)) {
      if (!starts_with("{%")) continue;
      const size_t tag = at_;
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      advance(sign == '-' || sign == '+' ? 3 : 2);
      skip_space();
      if (!starts_with("endraw")) {
        at_ = tag;
        continue;
      }
      advance(6);
      skip_space();
      if (!pass_end('%')) break;
      const size_t after = at_;
      at_ = begin;
      line_ = begin_line;
      take_text(tag, sign);
      advance(after - at_);
      return ok_status();
    }
    return error(Code::kInvalidArgument, "line %d: {%% raw %%} without {%% endraw %%}", begin_line);
  }

  Status take_tag(TokenKind begin, TokenKind end, char mark) {
    const int begin_line = line_;
    add(begin, "");
    std::string brackets;  // a closing brace within a dict is not the tag's end
    for (skip_space(); at_ < source_.size(); skip_space()) {
      const int line = line_;
      if (brackets.empty() && pass_end(mark)) {
        tokens_.push_back({end, "", line});
        return ok_status();
      }
      HOTSET_RETURN_IF_ERROR(take_token(brackets));
    }
    return error(Code::kInvalidArgument, "line %d: tag without end", begin_line);
  }

  Status take_token(std::string& brackets) {
    const char c = source_[at_];
    if (c == '"' || c == '\'') return take_string(c);
    if (is_digit(c)) return take_number();
    if (is_name_start(c)) {
      size_t end = at_;
      while (end < source_.size() && (is_name_start(source_[end]) || is_digit(source_[end]))) ++end;
      add(TokenKind::kName, source_.substr(at_, end - at_));
      advance(end - at_);
      return ok_status();
    }
    for (const std::string_view op : {"//", "**", "==", "!=", "<=", ">="}) {
      if (!starts_with(op)) continue;
      add(TokenKind::kOperator, std::string(op));
      advance(2);
      return ok_status();
    }
    if (std::string_view("+-*/%~<>=()[]{},.:|").find(c) == std::string_view::npos) {
      return error(Code::kInvalidArgument, "line %d: unexpected character '%c'",
                   line_, static_cast<unsigned char>(c) < 0x20 ? '?' : c);
    }
    if (c == '(' || c == '[' || c == '{') brackets.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty() || brackets.back() != c) {
        return error(Code::kInvalidArgument, "line %d: unexpected '%c'", line_, c);
      }
      brackets.pop_back();
    }
    add(TokenKind::kOperator, std::string(1, c));
    advance(1);
    return ok_status();
  }

  Status take_number() {
    size_t end = at_;
    const auto digits = [&] {
      while (end < source_.size() && (is_digit(source_[end]) || source_[end] == '_')) ++end;
    };
    const auto digit_follows = [&](size_t i) { return i < source_.size() && is_digit(source_[i]); };
    digits();
    bool real = false;
    if (end < source_.size() && source_[end] == '.' && digit_follows(end + 1)) {
      real = true;
      ++end;
      digits();
    }
    if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      const size_t sign = end + 1 < source_.size() && (source_[end + 1] == '-' || source_[end + 1] == '+') ? 1 : 0;
      if (digit_follows(end + 1 + sign)) {
        real = true;
        end += 1 + sign;
        digits();
      }
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    add(real ? TokenKind::kReal : TokenKind::kInteger, std::move(text));
    advance(end - at_);
    return ok_status();
  }

  Status take_string(char quote) {
    const int begin_line = line_;
    std::string text;
    for (advance(1); at_ < source_.size(); advance(1)) {
      const char c = source_[at_];
      if (c == quote) {
        advance(1);
        tokens_.push_back({TokenKind::kString, std::move(text), begin_line});
        return ok_status();
      }
      if (c != '\\') {
        text.push_back(c);
      } else {
        HOTSET_RETURN_IF_ERROR(take_escape(text));
      }
    }
    return error(Code::kInvalidArgument, "line %d: string without end", begin_line);
  }

  // At a backslash; stops at the escape's last character. Unknown escapes stay as they are, as in Python.
  Status take_escape(std::string& text) {
    advance(1);
    const char c = at_ < source_.size() ? source_[at_] : '\0';
    constexpr std::string_view kNames = "ntrbfav0\\'\"";
    constexpr std::string_view kValues("\n\t\r\b\f\a\v\0\\'\"", 11);
    const size_t place = c == '\0' ? std::string_view::npos : kNames.find(c);
    if (place != std::string_view::npos) {
      text.push_back(kValues[place]);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      return take_hex_escape(c == 'x' ? 2 : c == 'u' ? 4 : 8, text);
    } else if (c != '\n') {  // a backslash at the end of a line joins the lines
      text.push_back('\\');
      text.push_back(c);
    }
    return ok_status();
  }

  Status take_hex_escape(int digits, std::string& text) {
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      advance(1);
      const char c = at_ < source_.size() ? source_[at_] : '\0';
      const size_t digit = c == '\0' ? std::string_view::npos : std::string_view("0123456789abcdefABCDEF").find(c);
      if (digit == std::string_view::npos) return error(Code::kInvalidArgument, "line %d: bad \\ escape in a string", line_);
      value = value << 4 | static_cast<uint32_t>(digit < 16 ? digit : digit - 6);
    }
    append_utf8(value, text);
    return ok_status();
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the text at at_ begins a line
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> lex(std::string_view source) { return Lexer(source).run(); }

}  // namespace hotset::jinja
