// Python's two ways of putting values into a text.
#include <charconv>
#include <cmath>
#include <cstdio>

#include "runtime/text/jinja_builtins.h"

namespace hotset::jinja {

namespace {

// "%-08.3f": what stands between the % and the letter.
struct Conversion {
  bool left = false;
  bool zero = false;
  int width = 0;
  int precision = -1;
  char letter = 's';
};

// Reads a conversion at `at`, which moves past it. Widths above 1000 are refused.
Result<Conversion> read_conversion(std::string_view text, size_t& at) {
  Conversion conversion;
  for (; at < text.size() && (text[at] == '-' || text[at] == '0'); ++at) (text[at] == '-' ? conversion.left : conversion.zero) = true;
  const auto number = [&](int& out) {
    for (out = 0; at < text.size() && text[at] >= '0' && text[at] <= '9' && out <= 1000; ++at) out = out * 10 + (text[at] - '0');
  };
  number(conversion.width);
  if (at < text.size() && text[at] == '.') {
    ++at;
    number(conversion.precision);
  }
  if (at >= text.size() || conversion.width > 1000 || conversion.precision > 1000) {
    return error(Code::kInvalidArgument, "incomplete format");
  }
  conversion.letter = text[at++];
  return conversion;
}

Result<std::string> converted(Runtime& runtime, const Conversion& c, const Value& value) {
  if (c.letter == 's' || c.letter == 'r') {
    HOTSET_ASSIGN(std::string text, to_text(c.letter == 'r' ? runtime.arena.list({value}) : value, runtime.limits.max_output_bytes));
    if (c.letter == 'r') text = text.substr(1, text.size() - 2);  // a list shows its item as repr() does
    return c.precision >= 0 ? text.substr(0, static_cast<size_t>(c.precision)) : text;
  }
  if (!value.is_number()) return error(Code::kInvalidArgument, "%%%c takes a number, not '%s'", c.letter, value.type_name());
  char buffer[1400];
  if (c.letter == 'd' || c.letter == 'i' || c.letter == 'x') {
    const bool fits = !value.is(Kind::kReal) || std::fabs(value.as_real()) < 9e18;
    if (!fits) return error(Code::kInvalidArgument, "a number is too large");
    const auto number = static_cast<long long>(value.is(Kind::kReal) ? static_cast<int64_t>(value.as_real()) : value.as_integer());
    std::snprintf(buffer, sizeof buffer, c.letter == 'x' ? "%llx" : "%lld", number);
    return std::string(buffer);
  }
  if (c.letter != 'f' && c.letter != 'e' && c.letter != 'g') {
    return error(Code::kUnsupported, "the conversion %%%c is not supported", c.letter);
  }
  const int precision = c.precision < 0 ? 6 : c.precision;
  const char* const format = c.letter == 'f' ? "%.*f" : c.letter == 'e' ? "%.*e" : "%.*g";
  std::snprintf(buffer, sizeof buffer, format, precision, value.as_real());
  return std::string(buffer);
}

std::string filled(const Conversion& c, std::string text) {
  const auto width = static_cast<size_t>(c.width);
  if (text.size() >= width) return text;
  if (c.left) return text + std::string(width - text.size(), ' ');
  const bool zeros = c.zero && c.letter != 's' && c.letter != 'r';
  const size_t sign = zeros && text[0] == '-' ? 1 : 0;
  return text.insert(sign, std::string(width - text.size(), zeros ? '0' : ' '));
}

}  // namespace

Result<Value> format_percent(Runtime& runtime, std::string_view text, const List& values) {
  HOTSET_RETURN_IF_ERROR(runtime.charge(1 + text.size() / 4));
  std::string out;
  size_t next = 0;
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '%') {
      out.push_back(text[at++]);
      continue;
    }
    HOTSET_ASSIGN(const Conversion conversion, read_conversion(text, ++at));
    if (conversion.letter == '%') {
      out.push_back('%');
      continue;
    }
    if (next == values.size()) return error(Code::kInvalidArgument, "not enough arguments for format string");
    HOTSET_ASSIGN(std::string value, converted(runtime, conversion, values[next++]));
    out += filled(conversion, std::move(value));
    if (out.size() > runtime.limits.max_output_bytes) return error(Code::kInvalidArgument, "a formatted text is too long");
  }
  if (next < values.size()) return error(Code::kInvalidArgument, "not all arguments converted during string formatting");
  return runtime.text(std::move(out));
}

Result<Value> format_braces(Runtime& runtime, std::string_view text, const Arguments& arguments) {
  HOTSET_RETURN_IF_ERROR(runtime.charge(1 + text.size() / 4));
  std::string out;
  size_t next = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if ((c == '{' || c == '}') && text.substr(at, 2) == std::string(2, c)) {
      out.push_back(c);
      ++at;
      continue;
    }
    if (c == '}') return error(Code::kInvalidArgument, "single '}' in format string");
    if (c != '{') {
      out.push_back(c);
      continue;
    }
    const size_t end = text.find('}', at);
    if (end == std::string_view::npos) return error(Code::kInvalidArgument, "single '{' in format string");
    const std::string_view name = text.substr(at + 1, end - at - 1);
    at = end;
    if (name.find_first_of(":!.[{") != std::string_view::npos) {
      return error(Code::kUnsupported, "format: '{%.40s}' is not supported", std::string(name).c_str());
    }
    size_t index = name.empty() ? next++ : arguments.positional.size();
    std::from_chars(name.data(), name.data() + name.size(), index);
    const Value* value = arguments.find(index, name.empty() ? "\xFF" : name);
    if (value == nullptr) return error(Code::kInvalidArgument, "format: nothing for '{%.40s}'", std::string(name).c_str());
    HOTSET_ASSIGN(const std::string shown, to_text(*value, runtime.limits.max_output_bytes));
    out += shown;
    if (out.size() > runtime.limits.max_output_bytes) return error(Code::kInvalidArgument, "a formatted text is too long");
  }
  return runtime.text(std::move(out));
}

}  // namespace hotset::jinja
