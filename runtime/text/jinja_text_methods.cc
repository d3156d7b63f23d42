// Methods of texts that few chat templates use, as Python has them; letters and digits are ASCII's.
#include <algorithm>

#include "runtime/text/jinja_builtins.h"
#include "runtime/text/utf8.h"

namespace hotset::jinja {

namespace {

Result<std::string_view> text_at(const Arguments& arguments, size_t index, std::string_view name) {
  const Value* value = arguments.find(index, name);
  if (value == nullptr || !value->is(Kind::kString)) return error(Code::kInvalidArgument, "a text was expected");
  return value->as_text();
}

Result<Value> removeprefix(Runtime&, const Value& s, const Arguments& a) {
  HOTSET_ASSIGN(const std::string_view prefix, text_at(a, 0, "prefix"));
  return s.as_text().starts_with(prefix) ? Value::text(s.as_text().substr(prefix.size())) : s;
}

Result<Value> removesuffix(Runtime&, const Value& s, const Arguments& a) {
  HOTSET_ASSIGN(const std::string_view suffix, text_at(a, 0, "suffix"));
  return s.as_text().ends_with(suffix) ? Value::text(s.as_text().substr(0, s.as_text().size() - suffix.size())) : s;
}

Result<Value> splitlines(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Value* keep = arguments.find(0, "keepends");
  const std::string_view text = subject.as_text();
  HOTSET_RETURN_IF_ERROR(runtime.charge(1 + text.size() / 4));
  List lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of("\n\r\v\f", begin), text.size());
    size_t next = std::min(end + 1, text.size());
    if (text.substr(end, 2) == "\r\n") next = end + 2;
    lines.push_back(Value::text(text.substr(begin, (keep != nullptr && keep->is_true() ? next : end) - begin)));
    begin = next;
  }
  return runtime.arena.list(std::move(lines));
}

Result<Value> rsplit(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Value* limit = arguments.find(1, "maxsplit");
  const Value* separator_value = arguments.find(0, "sep");
  if (limit == nullptr || separator_value == nullptr || separator_value->is(Kind::kNone)) {
    return find_method(subject, "split")(runtime, subject, arguments);
  }
  HOTSET_ASSIGN(const std::string_view separator, text_at(arguments, 0, "sep"));
  if (separator.empty()) return error(Code::kInvalidArgument, "empty separator");
  std::string_view text = subject.as_text();
  HOTSET_RETURN_IF_ERROR(runtime.charge(1 + text.size() / 4));
  List parts;
  for (int64_t left = limit->as_integer(); left != 0; --left) {
    const size_t at = text.rfind(separator);
    if (at == std::string_view::npos) break;
    parts.push_back(Value::text(text.substr(at + separator.size())));
    text = text.substr(0, at);
  }
  parts.push_back(Value::text(text));
  std::reverse(parts.begin(), parts.end());
  return runtime.arena.list(std::move(parts));
}

int64_t characters_in(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

Result<Value> rfind(Runtime& runtime, const Value& s, const Arguments& a) {
  HOTSET_ASSIGN(const std::string_view needle, text_at(a, 0, "sub"));
  HOTSET_RETURN_IF_ERROR(runtime.charge(1 + s.as_text().size() / 4));
  const size_t place = s.as_text().rfind(needle);
  return Value::integer(place == std::string_view::npos ? -1 : characters_in(s.as_text().substr(0, place)));
}

Result<Value> index(Runtime& runtime, const Value& s, const Arguments& a) {
  HOTSET_ASSIGN(const Value place, find_method(s, "find")(runtime, s, a));
  if (place.as_integer() < 0) return error(Code::kInvalidArgument, "substring not found");
  return place;
}

// Filled up to a width: blanks on the left, on the right, or as Python's center() spreads them.
Result<Value> padded(Runtime& runtime, const Value& s, const Arguments& a, char side, char fill) {
  const Value* width = a.find(0, "width");
  if (width == nullptr || !width->is(Kind::kInteger) || width->as_integer() > 100000) {
    return error(Code::kInvalidArgument, "a width of at most 100000 was expected");
  }
  const auto missing = static_cast<size_t>(std::max<int64_t>(width->as_integer() - characters_in(s.as_text()), 0));
  const size_t odd = missing & static_cast<size_t>(width->as_integer()) & 1;
  const size_t left = side == 'r' ? missing : side == 'l' ? 0 : missing / 2 + odd;
  return runtime.text(std::string(left, fill) + std::string(s.as_text()) + std::string(missing - left, fill));
}

Result<Value> center(Runtime& r, const Value& s, const Arguments& a) { return padded(r, s, a, 'c', ' '); }
Result<Value> ljust(Runtime& r, const Value& s, const Arguments& a) { return padded(r, s, a, 'l', ' '); }
Result<Value> rjust(Runtime& r, const Value& s, const Arguments& a) { return padded(r, s, a, 'r', ' '); }

Result<Value> zfill(Runtime& r, const Value& s, const Arguments& a) {
  const std::string_view text = s.as_text();
  const bool has_sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  if (!has_sign) return padded(r, s, a, 'r', '0');
  const Value* width = a.find(0, "width");
  const Value inner = width != nullptr && width->is(Kind::kInteger) ? Value::integer(width->as_integer() - 1) : Value();
  HOTSET_ASSIGN(const Value digits, padded(r, Value::text(text.substr(1)), Arguments{{inner}, {}}, 'r', '0'));
  return r.text(std::string(1, text[0]) + std::string(digits.as_text()));
}

template <class Passes>
Result<Value> all_pass(Runtime& runtime, const Value& s, Passes passes) {
  HOTSET_RETURN_IF_ERROR(runtime.charge(1 + s.as_text().size() / 16));
  return Value::boolean(!s.as_text().empty() && std::all_of(s.as_text().begin(), s.as_text().end(), passes));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80; }
bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

Result<Value> isdigit(Runtime& r, const Value& s, const Arguments&) { return all_pass(r, s, is_digit); }
Result<Value> isalpha(Runtime& r, const Value& s, const Arguments&) { return all_pass(r, s, is_letter); }
Result<Value> isspace(Runtime& r, const Value& s, const Arguments&) { return all_pass(r, s, is_blank); }
Result<Value> isalnum(Runtime& r, const Value& s, const Arguments&) {
  return all_pass(r, s, [](char c) { return is_digit(c) || is_letter(c); });
}
Result<Value> islower(Runtime& r, const Value& s, const Arguments& a) {
  HOTSET_ASSIGN(const bool yes, find_test("lower")(r, s, a));
  return Value::boolean(yes);
}
Result<Value> isupper(Runtime& r, const Value& s, const Arguments& a) {
  HOTSET_ASSIGN(const bool yes, find_test("upper")(r, s, a));
  return Value::boolean(yes);
}

Result<Value> format(Runtime& r, const Value& s, const Arguments& a) { return format_braces(r, s.as_text(), a); }

}  // namespace

Builtin find_rare_text_method(std::string_view name) {
  struct NamedMethod {
    std::string_view name;
    Builtin function;
  };
  constexpr NamedMethod kMethods[] = {
      {"removeprefix", removeprefix}, {"removesuffix", removesuffix}, {"splitlines", splitlines}, {"rsplit", rsplit},
      {"rfind", rfind}, {"index", index}, {"center", center}, {"ljust", ljust}, {"rjust", rjust}, {"zfill", zfill},
      {"isdigit", isdigit}, {"isdecimal", isdigit}, {"isnumeric", isdigit}, {"isalpha", isalpha}, {"isalnum", isalnum},
      {"isspace", isspace}, {"islower", islower}, {"isupper", isupper}, {"format", format},
  };
  for (const NamedMethod& method : kMethods) {
    if (method.name == name) return method.function;
  }
  return nullptr;
}

}  // namespace hotset::jinja
