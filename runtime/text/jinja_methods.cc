// Methods of texts, dicts and loops, and the functions a template may call.
#include <algorithm>
#include <optional>

#include "platform/local_time.h"
#include "runtime/text/jinja_builtins.h"
#include "runtime/text/utf8.h"

namespace hotset::jinja {

namespace {

struct NamedBuiltin {
  std::string_view name;
  Builtin function;
};

template <size_t N>
Builtin find_in(const NamedBuiltin (&table)[N], std::string_view name) {
  for (const NamedBuiltin& entry : table) {
    if (entry.name == name) return entry.function;
  }
  return nullptr;
}

// The text argument at `index`; nullopt when absent or none.
Result<std::optional<std::string_view>> text_argument(const Arguments& arguments, size_t index, std::string_view name) {
  const Value* value = arguments.find(index, name);
  if (value == nullptr || value->is(Kind::kNone)) return std::optional<std::string_view>();
  if (!value->is(Kind::kString)) return error(Code::kInvalidArgument, "a text was expected, not '%s'", value->type_name());
  return std::optional<std::string_view>(value->as_text());
}

// What Python's str.isspace() takes.
bool is_space(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_stripped(std::string_view character, const std::optional<std::string_view>& set) {
  if (set) return set->find(character) != std::string_view::npos;
  return is_space(utf8_code_point_at(character, 0).value);
}

Result<Value> strip_sides(Runtime& runtime, const Value& subject, const Arguments& arguments, bool left, bool right) {
  HOTSET_ASSIGN(const auto set, text_argument(arguments, 0, "chars"));
  std::string_view text = subject.as_text();
  HOTSET_RETURN_IF_ERROR(runtime.charge(1 + text.size() / 16));
  while (left && !text.empty()) {
    const size_t size = utf8_code_point_at(text, 0).size_bytes;
    if (!is_stripped(text.substr(0, size), set)) break;
    text.remove_prefix(size);
  }
  while (right && !text.empty()) {
    size_t last = text.size() - 1;
    while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
    if (!is_stripped(text.substr(last), set)) break;
    text.remove_suffix(text.size() - last);
  }
  return Value::text(text);
}

Result<Value> strip(Runtime& r, const Value& s, const Arguments& a) { return strip_sides(r, s, a, true, true); }
Result<Value> lstrip(Runtime& r, const Value& s, const Arguments& a) { return strip_sides(r, s, a, true, false); }
Result<Value> rstrip(Runtime& r, const Value& s, const Arguments& a) { return strip_sides(r, s, a, false, true); }
Result<Value> lower(Runtime& r, const Value& s, const Arguments&) { return r.text(lower_case(s.as_text())); }
Result<Value> upper(Runtime& r, const Value& s, const Arguments&) { return r.text(upper_case(s.as_text())); }

Result<Value> capitalize(Runtime& r, const Value& s, const Arguments&) {
  std::string text = lower_case(s.as_text());
  if (!text.empty()) text.replace(0, 1, upper_case(text.substr(0, 1)));
  return r.text(std::move(text));
}

Result<Value> title(Runtime& r, const Value& s, const Arguments&) {
  std::string text = lower_case(s.as_text());
  bool in_word = false;
  for (char& c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
    if (letter && !in_word) c = upper_case({&c, 1})[0];
    in_word = letter;
  }
  return r.text(std::move(text));
}

// At most `left` splits, below 0 any number; the rest keeps its white space at the end.
List split_at_space(std::string_view text, int64_t left) {
  List parts;
  size_t begin = 0;
  for (size_t at = 0; at <= text.size();) {
    const CodePoint c = at < text.size() ? utf8_code_point_at(text, at) : CodePoint{' ', 1};
    if (is_space(c.value)) {
      if (at > begin) parts.push_back(Value::text(text.substr(begin, at - begin)));
      begin = at + c.size_bytes;
    } else if (at == begin && left-- == 0) {
      parts.push_back(Value::text(text.substr(at)));
      return parts;
    }
    at += c.size_bytes;
  }
  return parts;
}

Result<Value> split(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const auto separator, text_argument(arguments, 0, "sep"));
  const Value* limit = arguments.find(1, "maxsplit");
  const std::string_view text = subject.as_text();
  HOTSET_RETURN_IF_ERROR(runtime.charge(1 + text.size() / 4));
  if (!separator) {
    return runtime.arena.list(split_at_space(text, limit != nullptr && limit->is(Kind::kInteger) ? limit->as_integer() : -1));
  }
  if (separator->empty()) return error(Code::kInvalidArgument, "empty separator");
  int64_t left = limit != nullptr && limit->is(Kind::kInteger) ? limit->as_integer() : -1;
  List parts;
  size_t begin = 0;
  for (; left != 0; --left) {
    const size_t end = text.find(*separator, begin);
    if (end == std::string_view::npos) break;
    parts.push_back(Value::text(text.substr(begin, end - begin)));
    begin = end + separator->size();
  }
  parts.push_back(Value::text(text.substr(begin)));
  return runtime.arena.list(std::move(parts));
}

Result<bool> has_affix(Runtime& runtime, const Value& subject, const Arguments& arguments, bool at_start) {
  const Value* affix = arguments.find(0, "prefix");
  if (affix == nullptr) return error(Code::kInvalidArgument, "startswith and endswith take a text");
  List one{*affix};
  const List& candidates = affix->is(Kind::kList) ? affix->as_list() : one;
  for (const Value& candidate : candidates) {
    if (!candidate.is(Kind::kString)) {
      return error(Code::kInvalidArgument, "startswith and endswith take a text, not '%s'", candidate.type_name());
    }
    HOTSET_RETURN_IF_ERROR(runtime.charge(1 + candidate.as_text().size() / 64));
    const std::string_view text = subject.as_text();
    if (at_start ? text.starts_with(candidate.as_text()) : text.ends_with(candidate.as_text())) return true;
  }
  return false;
}

Result<Value> startswith(Runtime& r, const Value& s, const Arguments& a) {
  HOTSET_ASSIGN(const bool yes, has_affix(r, s, a, true));
  return Value::boolean(yes);
}
Result<Value> endswith(Runtime& r, const Value& s, const Arguments& a) {
  HOTSET_ASSIGN(const bool yes, has_affix(r, s, a, false));
  return Value::boolean(yes);
}

Result<Value> replace(Runtime& r, const Value& s, const Arguments& a) { return find_filter("replace")(r, s, a); }

Result<Value> join(Runtime& r, const Value& s, const Arguments& a) {
  const Value* items = a.find(0, "iterable");
  if (items == nullptr) return error(Code::kInvalidArgument, "join takes a list");
  return find_filter("join")(r, *items, Arguments{{s}, {}});
}

Result<Value> find(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const auto needle, text_argument(arguments, 0, "sub"));
  if (!needle || arguments.positional.size() > 1) return error(Code::kUnsupported, "find takes one text");
  HOTSET_RETURN_IF_ERROR(runtime.charge(1 + subject.as_text().size() / 4));
  const size_t place = subject.as_text().find(*needle);
  if (place == std::string_view::npos) return Value::integer(-1);
  int64_t characters = 0;
  for (const char c : subject.as_text().substr(0, place)) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return Value::integer(characters);
}

Result<Value> count(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const auto needle, text_argument(arguments, 0, "sub"));
  if (!needle || needle->empty()) return error(Code::kUnsupported, "count takes one text that is not empty");
  HOTSET_RETURN_IF_ERROR(runtime.charge(1 + subject.as_text().size() / 4));
  int64_t found = 0;
  const std::string_view text = subject.as_text();
  for (size_t at = text.find(*needle); at != std::string_view::npos; at = text.find(*needle, at + needle->size())) ++found;
  return Value::integer(found);
}

constexpr NamedBuiltin kTextMethods[] = {
    {"strip", strip},   {"lstrip", lstrip}, {"rstrip", rstrip},         {"lower", lower},
    {"upper", upper},   {"title", title},   {"capitalize", capitalize}, {"split", split},
    {"replace", replace}, {"join", join},   {"startswith", startswith}, {"endswith", endswith},
    {"find", find},     {"count", count},
};

Result<Value> items(Runtime& runtime, const Value& subject, const Arguments&) {
  List pairs;
  HOTSET_RETURN_IF_ERROR(runtime.charge(subject.as_dict().entries.size()));
  for (const auto& [key, value] : subject.as_dict().entries) {
    pairs.push_back(runtime.arena.list({key, value}, true));
  }
  return runtime.arena.list(std::move(pairs));
}

Result<Value> keys(Runtime& runtime, const Value& subject, const Arguments&) {
  HOTSET_ASSIGN(const List* names, items_of(runtime, subject));
  return Value::list(names);
}

Result<Value> values(Runtime& runtime, const Value& subject, const Arguments&) {
  List found;
  HOTSET_RETURN_IF_ERROR(runtime.charge(subject.as_dict().entries.size()));
  for (const auto& [key, value] : subject.as_dict().entries) found.push_back(value);
  return runtime.arena.list(std::move(found));
}

Result<Value> get(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Value* key = arguments.find(0, "key");
  const Value* fallback = arguments.find(1, "default");
  if (key == nullptr) return error(Code::kInvalidArgument, "get takes a key");
  HOTSET_RETURN_IF_ERROR(runtime.charge(subject.as_dict().entries.size() / 16));
  const Value* found = subject.as_dict().find(*key);
  if (found != nullptr) return *found;
  return fallback != nullptr ? *fallback : Value::none();
}

constexpr NamedBuiltin kDictMethods[] = {{"items", items}, {"keys", keys}, {"values", values}, {"get", get}};

Result<Value> cycle(Runtime&, const Value& subject, const Arguments& arguments) {
  if (arguments.positional.empty()) return error(Code::kInvalidArgument, "loop.cycle takes values");
  return arguments.positional[subject.as_loop().index % arguments.positional.size()];
}

// Whether the value differs from the one of the turn before.
Result<Value> changed(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Value now = runtime.arena.list(arguments.positional, true);
  Loop& loop = const_cast<Loop&>(subject.as_loop());
  bool same = loop.last != nullptr;
  if (same) {
    HOTSET_ASSIGN(same, runtime.equal(*loop.last, now));
  }
  loop.last = runtime.arena.keep(now);
  return Value::boolean(!same);
}

constexpr NamedBuiltin kLoopMethods[] = {{"cycle", cycle}, {"changed", changed}};

Result<Value> index_in_list(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Value* wanted = arguments.find(0, "value");
  for (size_t i = 0; wanted != nullptr && i < subject.as_list().size(); ++i) {
    HOTSET_ASSIGN(const bool same, runtime.equal(subject.as_list()[i], *wanted));
    if (same) return Value::integer(static_cast<int64_t>(i));
  }
  return error(Code::kInvalidArgument, "index: the value is not in the list");
}

Result<Value> count_in_list(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Value* wanted = arguments.find(0, "value");
  int64_t found = 0;
  for (size_t i = 0; wanted != nullptr && i < subject.as_list().size(); ++i) {
    HOTSET_ASSIGN(const bool same, runtime.equal(subject.as_list()[i], *wanted));
    found += same ? 1 : 0;
  }
  return Value::integer(found);
}

constexpr NamedBuiltin kListMethods[] = {{"index", index_in_list}, {"count", count_in_list}};

Result<Value> make_dict(Runtime& runtime, const Arguments& arguments, bool is_namespace) {
  Dict entries;
  for (const Value& from : arguments.positional) {
    if (!from.is(Kind::kDict)) return error(Code::kUnsupported, "a dict is made from a dict or names only");
    const size_t size = from.as_dict().entries.size() + entries.entries.size();
    HOTSET_RETURN_IF_ERROR(runtime.charge(size * from.as_dict().entries.size() / 16));
    for (const auto& [key, value] : from.as_dict().entries) entries.set(key, value);
  }
  for (const auto& [key, value] : arguments.named) entries.set(key, value);
  return runtime.arena.dict(std::move(entries), is_namespace);
}

Result<Value> make_namespace(Runtime& r, const Value&, const Arguments& a) { return make_dict(r, a, true); }
Result<Value> make_plain_dict(Runtime& r, const Value&, const Arguments& a) { return make_dict(r, a, false); }

Result<Value> range(Runtime& runtime, const Value&, const Arguments& arguments) {
  int64_t numbers[3] = {0, 0, 1};
  const size_t given = arguments.positional.size();
  if (given < 1 || given > 3) return error(Code::kInvalidArgument, "range takes one to three numbers");
  for (size_t i = 0; i < given; ++i) {
    if (!arguments.positional[i].is(Kind::kInteger)) return error(Code::kInvalidArgument, "range takes integers");
    numbers[given == 1 ? 1 : i] = arguments.positional[i].as_integer();
  }
  const auto [begin, end, step] = numbers;
  if (step == 0) return error(Code::kInvalidArgument, "range cannot have step 0");
  constexpr size_t kMaxRange = 100000;  // as in Jinja's sandbox
  List list;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (list.size() == kMaxRange) return error(Code::kInvalidArgument, "range is longer than %zu", kMaxRange);
    list.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  HOTSET_RETURN_IF_ERROR(runtime.charge(list.size()));
  return runtime.arena.list(std::move(list));
}

Result<Value> raise_exception(Runtime& runtime, const Value&, const Arguments& arguments) {
  const Value* message = arguments.find(0, "message");
  if (message == nullptr) return error(Code::kInvalidArgument, "the template raised an error");
  HOTSET_ASSIGN(const std::string text, to_text(*message, runtime.limits.max_output_bytes));
  return Status(Code::kInvalidArgument, text);
}

Result<Value> strftime_now(Runtime& runtime, const Value&, const Arguments& arguments) {
  HOTSET_ASSIGN(const auto format, text_argument(arguments, 0, "format"));
  if (!format || format->size() > 256) return error(Code::kInvalidArgument, "strftime_now takes a short format");
  auto text = time_text(std::string(*format), runtime.now);
  if (!text) return error(Code::kInvalidArgument, "strftime_now: the date is too long, or its format is not known here");
  return runtime.text(std::move(*text));
}

constexpr NamedBuiltin kFunctions[] = {
    {"namespace", make_namespace},          {"dict", make_plain_dict}, {"range", range},
    {"raise_exception", raise_exception}, {"strftime_now", strftime_now},
};

}  // namespace

Builtin find_method(const Value& subject, std::string_view name) {
  if (subject.is(Kind::kString)) {
    const Builtin method = find_in(kTextMethods, name);
    return method != nullptr ? method : find_rare_text_method(name);
  }
  if (subject.is(Kind::kList)) return find_in(kListMethods, name);
  if (subject.is(Kind::kDict)) return find_in(kDictMethods, name);
  if (subject.is(Kind::kLoop)) return find_in(kLoopMethods, name);
  return nullptr;
}

Builtin find_function(std::string_view name) { return find_in(kFunctions, name); }

}  // namespace hotset::jinja
