// Filters of chat templates (jinja.palletsprojects.com/en/stable/templates/#builtin-filters; tojson as transformers has it).
#include <algorithm>
#include <charconv>
#include <cmath>

#include "runtime/text/jinja_builtins.h"
#include "runtime/text/utf8.h"

namespace hotset::jinja {

namespace {

Result<std::string> text_of(Runtime& runtime, const Value& value) { return to_text(value, runtime.limits.max_output_bytes); }

bool is_set(const Arguments& arguments, size_t index, std::string_view name) {
  const Value* value = arguments.find(index, name);
  return value != nullptr && value->is_true();
}

// Runs a method of texts on whatever the subject prints as.
Result<Value> text_method(Runtime& runtime, const Value& subject, const Arguments& arguments, std::string_view method) {
  HOTSET_ASSIGN(std::string text, text_of(runtime, subject));
  HOTSET_ASSIGN(const Value value, runtime.text(std::move(text)));
  return find_method(value, method)(runtime, value, arguments);
}

Result<Value> trim(Runtime& r, const Value& s, const Arguments& a) { return text_method(r, s, a, "strip"); }
Result<Value> upper(Runtime& r, const Value& s, const Arguments& a) { return text_method(r, s, a, "upper"); }
Result<Value> lower(Runtime& r, const Value& s, const Arguments& a) { return text_method(r, s, a, "lower"); }
Result<Value> capitalize(Runtime& r, const Value& s, const Arguments& a) { return text_method(r, s, a, "capitalize"); }

// Capital letters after white space, hyphens and opening brackets, unlike the method of the same name.
Result<Value> title(Runtime& runtime, const Value& subject, const Arguments&) {
  HOTSET_ASSIGN(const std::string text, text_of(runtime, subject));
  std::string out = lower_case(text);
  bool at_start = true;
  for (char& c : out) {
    if (at_start) c = upper_case({&c, 1})[0];
    at_start = std::string_view(" \t\n\r\f\v-({[<").find(c) != std::string_view::npos;
  }
  return runtime.text(std::move(out));
}

Result<Value> length(Runtime& runtime, const Value& subject, const Arguments&) {
  HOTSET_ASSIGN(const List* items, items_of(runtime, subject));
  return Value::integer(static_cast<int64_t>(items->size()));
}

// tojson(ensure_ascii, indent, separators, sort_keys), as transformers has it.
Result<JsonFormat> json_format(const Arguments& arguments) {
  for (const auto& [name, value] : arguments.named) {
    if (name != "indent" && name != "ensure_ascii" && name != "separators" && name != "sort_keys") {
      return error(Code::kUnsupported, "tojson(%.40s=) is not supported", std::string(name).c_str());
    }
  }
  JsonFormat format;
  // A lone number can only be Jinja's own first argument, the indent.
  const Value* first = arguments.find(0, "ensure_ascii");
  const Value* indent = arguments.find(1, "indent");
  if (indent == nullptr && first != nullptr && first->is(Kind::kInteger)) indent = first;
  format.ascii_only = first != nullptr && first != indent && first->is_true();
  if (indent != nullptr && indent->is(Kind::kInteger)) format.indent = static_cast<int>(std::clamp<int64_t>(indent->as_integer(), -1, 17));
  if (format.indent > 16) return error(Code::kInvalidArgument, "tojson indents by at most 16");
  if (format.indent >= 0) format.item_separator = ",";
  const Value* separators = arguments.find(2, "separators");
  if (separators != nullptr && separators->is(Kind::kList) && separators->as_list().size() == 2) {
    format.item_separator = separators->as_list()[0].as_text_or("");
    format.key_separator = separators->as_list()[1].as_text_or("");
  }
  format.sort_keys = is_set(arguments, 3, "sort_keys");
  return format;
}

Result<Value> to_json_filter(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const JsonFormat format, json_format(arguments));
  HOTSET_RETURN_IF_ERROR(runtime.charge(1));
  HOTSET_ASSIGN(std::string text, to_json(subject, format, runtime.limits.max_output_bytes));
  return runtime.text(std::move(text));
}

Result<Value> default_filter(Runtime&, const Value& subject, const Arguments& arguments) {
  const bool absent = subject.is(Kind::kUndefined) || (is_set(arguments, 1, "boolean") && !subject.is_true());
  const Value* fallback = arguments.find(0, "default_value");
  if (!absent) return subject;
  return fallback != nullptr ? *fallback : Value::text("");
}

// The subject's items, or that attribute of each where the filter has an `attribute` argument.
Result<List> items_or_attributes(Runtime& runtime, const Value& subject, const Arguments& arguments, size_t index) {
  HOTSET_ASSIGN(const List* items, items_of(runtime, subject));
  HOTSET_RETURN_IF_ERROR(runtime.charge(items->size()));
  const Value* attribute = arguments.find(index, "attribute");
  if (attribute == nullptr || !attribute->is(Kind::kString)) return *items;
  List found;
  for (const Value& item : *items) {
    HOTSET_ASSIGN(const Value value, attribute_at(runtime, item, attribute->as_text()));
    found.push_back(value);
  }
  return found;
}

Result<Value> join(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const List items, items_or_attributes(runtime, subject, arguments, 1));
  const Value* separator = arguments.find(0, "d");
  std::string between;
  if (separator != nullptr) HOTSET_RETURN_IF_ERROR(text_of(runtime, *separator).status());
  if (separator != nullptr) between = text_of(runtime, *separator).value();
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    HOTSET_ASSIGN(const std::string text, text_of(runtime, items[i]));
    if (i != 0) out += between;
    out += text;
    if (out.size() > runtime.limits.max_output_bytes) return error(Code::kInvalidArgument, "a joined text is too long");
  }
  return runtime.text(std::move(out));
}

Result<Value> first(Runtime& runtime, const Value& subject, const Arguments&) {
  HOTSET_ASSIGN(const List* items, items_of(runtime, subject));
  return items->empty() ? Value::undefined("first item") : items->front();
}

Result<Value> last(Runtime& runtime, const Value& subject, const Arguments&) {
  HOTSET_ASSIGN(const List* items, items_of(runtime, subject));
  return items->empty() ? Value::undefined("last item") : items->back();
}

Result<Value> list(Runtime& runtime, const Value& subject, const Arguments&) {
  HOTSET_ASSIGN(const List* items, items_of(runtime, subject));
  return Value::list(items);
}

// Nothing to walk in whatever counts as no, none included.
Result<const List*> items_or_none(Runtime& runtime, const Value& subject) {
  if (!subject.is_true()) return &runtime.arena.list({}).as_list();
  return items_of(runtime, subject);
}

Result<Value> map(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  List mapped;
  if (arguments.find(arguments.positional.size(), "attribute") != nullptr) {
    HOTSET_ASSIGN(mapped, items_or_attributes(runtime, subject, arguments, arguments.positional.size()));
    const Value* fallback = arguments.find(arguments.positional.size(), "default");
    for (Value& value : mapped) {
      if (fallback != nullptr && value.is(Kind::kUndefined)) value = *fallback;
    }
    return runtime.arena.list(std::move(mapped));
  }
  const Value* name = arguments.find(0, "filter");
  const Builtin filter = name != nullptr && name->is(Kind::kString) ? find_filter(name->as_text()) : nullptr;
  if (filter == nullptr) return error(Code::kUnsupported, "map takes a known filter's name or attribute=");
  const Arguments rest{{arguments.positional.begin() + 1, arguments.positional.end()}, arguments.named};
  HOTSET_ASSIGN(const List* items, items_or_none(runtime, subject));
  for (const Value& item : *items) {
    HOTSET_RETURN_IF_ERROR(runtime.charge(1));
    HOTSET_ASSIGN(const Value value, filter(runtime, item, rest));
    mapped.push_back(value);
  }
  return runtime.arena.list(std::move(mapped));
}

// select, reject and their forms that look at an attribute.
Result<Value> pick(Runtime& runtime, const Value& subject, const Arguments& arguments, bool wanted, bool by_attribute) {
  std::vector<Value> rest = arguments.positional;
  Value attribute;
  if (by_attribute) {
    if (rest.empty() || !rest[0].is(Kind::kString)) return error(Code::kInvalidArgument, "an attribute's name was expected");
    attribute = rest[0];
    rest.erase(rest.begin());
  }
  Test test = nullptr;
  if (!rest.empty()) {
    test = rest[0].is(Kind::kString) ? find_test(rest[0].as_text()) : nullptr;
    if (test == nullptr) return error(Code::kUnsupported, "a known test's name was expected");
    rest.erase(rest.begin());
  }
  const Arguments test_arguments{std::move(rest), {}};
  HOTSET_ASSIGN(const List* items, items_or_none(runtime, subject));
  List picked;
  for (const Value& item : *items) {
    HOTSET_RETURN_IF_ERROR(runtime.charge(1));
    Value value = item;
    if (by_attribute) {
      HOTSET_ASSIGN(value, attribute_at(runtime, item, attribute.as_text()));
    }
    bool passes = value.is_true();
    if (test != nullptr) {
      HOTSET_ASSIGN(passes, test(runtime, value, test_arguments));
    }
    if (passes == wanted) picked.push_back(item);
  }
  return runtime.arena.list(std::move(picked));
}

Result<Value> select(Runtime& r, const Value& s, const Arguments& a) { return pick(r, s, a, true, false); }
Result<Value> reject(Runtime& r, const Value& s, const Arguments& a) { return pick(r, s, a, false, false); }
Result<Value> selectattr(Runtime& r, const Value& s, const Arguments& a) { return pick(r, s, a, true, true); }
Result<Value> rejectattr(Runtime& r, const Value& s, const Arguments& a) { return pick(r, s, a, false, true); }

Result<Value> replace(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Value* from = arguments.find(0, "old");
  const Value* to = arguments.find(1, "new");
  if (from == nullptr || to == nullptr) return error(Code::kInvalidArgument, "replace takes what and by what");
  HOTSET_ASSIGN(const std::string text, text_of(runtime, subject));
  HOTSET_ASSIGN(const std::string old_text, text_of(runtime, *from));
  HOTSET_ASSIGN(const std::string new_text, text_of(runtime, *to));
  if (old_text.empty()) return error(Code::kUnsupported, "replacing the empty text is not supported");
  const Value* count = arguments.find(2, "count");
  int64_t left = count != nullptr && count->is(Kind::kInteger) ? count->as_integer() : -1;
  std::string out;
  size_t begin = 0;
  for (; left != 0; --left) {
    const size_t place = text.find(old_text, begin);
    if (place == std::string::npos) break;
    out.append(text, begin, place - begin).append(new_text);
    begin = place + old_text.size();
    if (out.size() > runtime.limits.max_output_bytes) {
      return error(Code::kInvalidArgument, "a text with replacements is too long");
    }
  }
  return runtime.text(out.append(text, begin));
}

Result<Value> to_int(Runtime&, const Value& subject, const Arguments& arguments) {
  const Value* fallback = arguments.find(0, "default");
  const Value otherwise = fallback != nullptr ? *fallback : Value::integer(0);
  double real = subject.as_real();
  if (subject.is(Kind::kInteger) || subject.is(Kind::kBoolean)) return Value::integer(subject.as_integer());
  if (subject.is(Kind::kString)) {
    std::string_view text = subject.as_text();
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    if (text.starts_with('+')) text.remove_prefix(1);
    int64_t integer = 0;
    const char* end = text.data() + text.size();
    if (const auto r = std::from_chars(text.data(), end, integer); r.ec == std::errc() && r.ptr == end) {
      return Value::integer(integer);
    }
    if (const auto r = std::from_chars(text.data(), end, real); r.ec != std::errc() || r.ptr != end) return otherwise;
  } else if (!subject.is(Kind::kReal)) {
    return otherwise;
  }
  if (!(std::fabs(real) < 9e18)) return otherwise;
  return Value::integer(static_cast<int64_t>(real));
}

Result<Value> to_real(Runtime&, const Value& subject, const Arguments& arguments) {
  const Value* fallback = arguments.find(0, "default");
  if (subject.is_number()) return Value::real(subject.as_real());
  double real = 0;
  if (subject.is(Kind::kString)) {
    const std::string_view text = subject.as_text();
    const auto r = std::from_chars(text.data(), text.data() + text.size(), real);
    if (r.ec == std::errc() && r.ptr == text.data() + text.size()) return Value::real(real);
  }
  return fallback != nullptr ? *fallback : Value::real(0);
}

Result<Value> to_string_filter(Runtime& runtime, const Value& subject, const Arguments&) {
  if (subject.is(Kind::kString)) return subject;
  HOTSET_ASSIGN(std::string text, text_of(runtime, subject));
  return runtime.text(std::move(text));
}

Result<Value> absolute(Runtime& runtime, const Value& subject, const Arguments&) {
  if (!subject.is_number()) return error(Code::kInvalidArgument, "abs takes a number, not '%s'", subject.type_name());
  if (subject.is(Kind::kReal)) return Value::real(std::fabs(subject.as_real()));
  return subject.as_integer() < 0 ? binary(runtime, "-", Value::integer(0), subject) : subject;
}

Result<Value> round(Runtime&, const Value& subject, const Arguments& arguments) {
  const Value* digits = arguments.find(0, "precision");
  if (!subject.is_number()) return error(Code::kInvalidArgument, "round takes a number, not '%s'", subject.type_name());
  if (arguments.find(1, "method") != nullptr) return error(Code::kUnsupported, "round with a method is not supported");
  const int64_t precision = digits != nullptr && digits->is(Kind::kInteger) ? digits->as_integer() : 0;
  const double scale = std::pow(10.0, static_cast<double>(precision));
  return Value::real(std::nearbyint(subject.as_real() * scale) / scale);
}

Result<Value> items(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  if (subject.is(Kind::kUndefined)) return runtime.arena.list({});
  if (!subject.is(Kind::kDict)) return error(Code::kInvalidArgument, "items takes a mapping, not '%s'", subject.type_name());
  return find_method(subject, "items")(runtime, subject, arguments);
}

// Sorts `items` by `keys`, stably; text without regard to case unless `case_sensitive`.
Result<List> sorted(Runtime& runtime, const List& items, const List& keys, bool reverse, bool case_sensitive) {
  HOTSET_RETURN_IF_ERROR(runtime.charge(items.size() * 8));
  std::vector<std::pair<std::string, size_t>> texts;
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    order[i] = i;
    HOTSET_RETURN_IF_ERROR(runtime.less(keys[0], keys[i]).status());  // all of one kind that has an order
    const std::string_view text = keys[i].is(Kind::kString) ? keys[i].as_text() : "";
    HOTSET_RETURN_IF_ERROR(runtime.charge(text.size() / 16));
    texts.emplace_back(case_sensitive ? std::string(text) : lower_case(text), i);
  }
  const bool by_text = !keys.empty() && keys[0].is(Kind::kString);
  const auto before = [&](size_t a, size_t b) {
    return by_text ? texts[a].first < texts[b].first : keys[a].as_real() < keys[b].as_real();
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return reverse ? before(b, a) : before(a, b); });
  List out;
  for (const size_t i : order) out.push_back(items[i]);
  return out;
}

Result<Value> sort(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const List* items, items_of(runtime, subject));
  HOTSET_ASSIGN(const List keys, items_or_attributes(runtime, subject, arguments, 2));
  const bool reverse = is_set(arguments, 0, "reverse");
  HOTSET_ASSIGN(List out, sorted(runtime, *items, keys, reverse, is_set(arguments, 1, "case_sensitive")));
  return runtime.arena.list(std::move(out));
}

Result<Value> dictsort(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const Value pairs, items(runtime, subject, {}));
  const Value* by = arguments.find(1, "by");
  const size_t part = by != nullptr && by->is(Kind::kString) && by->as_text() == "value" ? 1 : 0;
  List keys;
  for (const Value& pair : pairs.as_list()) keys.push_back(pair.as_list()[part]);
  const bool reverse = is_set(arguments, 2, "reverse");
  HOTSET_ASSIGN(List out, sorted(runtime, pairs.as_list(), keys, reverse, is_set(arguments, 0, "case_sensitive")));
  return runtime.arena.list(std::move(out));
}

Result<Value> unique(Runtime& runtime, const Value& subject, const Arguments&) {
  HOTSET_ASSIGN(const List* items, items_of(runtime, subject));
  List out;
  for (const Value& item : *items) {
    HOTSET_ASSIGN(const bool seen, contains(runtime, Value::list(&out), item));
    if (!seen) out.push_back(item);
  }
  return runtime.arena.list(std::move(out));
}

Result<Value> reverse(Runtime& runtime, const Value& subject, const Arguments&) {
  return slice_of(runtime, subject, Value(), Value(), Value::integer(-1));
}

Result<Value> sum(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const List items, items_or_attributes(runtime, subject, arguments, 0));
  const Value* start = arguments.find(1, "start");
  Value total = start != nullptr ? *start : Value::integer(0);
  for (const Value& item : items) {
    HOTSET_ASSIGN(total, binary(runtime, "+", total, item));
  }
  return total;
}

Result<Value> extreme(Runtime& runtime, const Value& subject, bool largest) {
  HOTSET_ASSIGN(const List* items, items_of(runtime, subject));
  if (items->empty()) return Value::undefined("item of an empty list");
  Value best = items->front();
  for (const Value& item : *items) {
    HOTSET_ASSIGN(const bool better, largest ? runtime.less(best, item) : runtime.less(item, best));
    if (better) best = item;
  }
  return best;
}

Result<Value> min(Runtime& r, const Value& s, const Arguments&) { return extreme(r, s, false); }
Result<Value> max(Runtime& r, const Value& s, const Arguments&) { return extreme(r, s, true); }

// Nothing is escaped on output, so nothing needs to be marked safe.
Result<Value> safe(Runtime& r, const Value& s, const Arguments& a) { return to_string_filter(r, s, a); }

Result<Value> escape(Runtime& runtime, const Value& subject, const Arguments&) {
  HOTSET_ASSIGN(const std::string text, text_of(runtime, subject));
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      default: out.push_back(c);
    }
  }
  return runtime.text(std::move(out));
}

Result<Value> format(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const std::string text, text_of(runtime, subject));
  return format_percent(runtime, text, arguments.positional);
}

Result<Value> indent(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const std::string text, text_of(runtime, subject));
  const Value* width = arguments.find(0, "width");
  std::string blanks(4, ' ');
  if (width != nullptr && width->is(Kind::kString)) blanks = width->as_text();
  if (width != nullptr && width->is(Kind::kInteger)) {
    blanks.assign(static_cast<size_t>(std::clamp<int64_t>(width->as_integer(), 0, 256)), ' ');
  }
  const bool blank_too = is_set(arguments, 2, "blank");
  std::string out = is_set(arguments, 1, "first") ? blanks : "";
  for (size_t i = 0; i < text.size(); ++i) {
    out.push_back(text[i]);
    const bool line_is_blank = i + 1 == text.size() || text[i + 1] == '\n';
    if (text[i] == '\n' && (blank_too || !line_is_blank)) out += blanks;
    if (out.size() > runtime.limits.max_output_bytes) return error(Code::kInvalidArgument, "an indented text is too long");
  }
  return runtime.text(std::move(out));
}

struct NamedFilter {
  std::string_view name;
  Builtin function;
};

constexpr NamedFilter kFilters[] = {
    {"trim", trim}, {"upper", upper}, {"lower", lower}, {"capitalize", capitalize}, {"title", title},
    {"length", length}, {"count", length}, {"tojson", to_json_filter}, {"default", default_filter},
    {"d", default_filter}, {"join", join}, {"first", first}, {"last", last}, {"list", list}, {"map", map},
    {"select", select}, {"reject", reject}, {"selectattr", selectattr}, {"rejectattr", rejectattr},
    {"replace", replace}, {"int", to_int}, {"float", to_real}, {"string", to_string_filter}, {"abs", absolute},
    {"round", round}, {"items", items}, {"dictsort", dictsort}, {"sort", sort}, {"unique", unique},
    {"reverse", reverse}, {"sum", sum}, {"min", min}, {"max", max}, {"safe", safe}, {"escape", escape}, {"e", escape},
    {"indent", indent}, {"format", format},
};

}  // namespace

Builtin find_filter(std::string_view name) {
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return filter.function;
  }
  return find_grouping_filter(name);
}

Result<Value> attribute_at(Runtime& runtime, Value value, std::string_view path) {
  while (true) {
    const size_t dot = path.find('.');
    HOTSET_ASSIGN(value, attribute_of(runtime, value, path.substr(0, dot)));
    if (dot == std::string_view::npos) return value;
    path.remove_prefix(dot + 1);
  }
}

}  // namespace hotset::jinja
