// Arithmetic, look-up, slices and membership of template values.
#include <cmath>

#include "runtime/text/jinja_builtins.h"
#include "runtime/text/utf8.h"

namespace hotset::jinja {

Status Runtime::charge(uint64_t amount) {
  steps += amount;
  if (steps > limits.max_steps) {
    return error(Code::kInvalidArgument, "the template takes more than %llu steps",
                 static_cast<unsigned long long>(limits.max_steps));
  }
  if (arena.used_bytes() > limits.max_memory_bytes) {
    return error(Code::kInvalidArgument, "the template needs more than %zu bytes of memory", limits.max_memory_bytes);
  }
  return ok_status();
}

Result<Value> Runtime::text(std::string value) {
  if (value.size() > limits.max_output_bytes) {
    return error(Code::kInvalidArgument, "a text is longer than %zu bytes", limits.max_output_bytes);
  }
  HOTSET_RETURN_IF_ERROR(charge(1 + value.size() / 64));
  return arena.text(std::move(value));
}

Result<bool> Runtime::equal(const Value& a, const Value& b) {
  uint64_t work = 0;
  const bool same = jinja::equal(a, b, work);
  HOTSET_RETURN_IF_ERROR(charge(work));
  if (work > kMaxCompareWork) return error(Code::kInvalidArgument, "values too large to compare");
  return same;
}

Result<bool> Runtime::less(const Value& a, const Value& b) {
  HOTSET_RETURN_IF_ERROR(charge(1 + (a.is(Kind::kString) ? a.as_text().size() / 64 : 0)));
  return jinja::less(a, b);
}

const Value* Arguments::find(size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

std::string upper_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}

namespace {

std::string printable(std::string_view text) { return std::string(text.substr(0, 60)); }

Status nothing_in(const Value& undefined, std::string_view what) {
  return error(Code::kInvalidArgument, "'%s' is undefined (asked for '%s')",
               printable(undefined.as_text()).c_str(), printable(what).c_str());
}

Result<Value> loop_attribute(Runtime& runtime, const Loop& loop, std::string_view name) {
  const auto index = static_cast<int64_t>(loop.index);
  const auto length = static_cast<int64_t>(loop.items->size());
  if (name == "index") return Value::integer(index + 1);
  if (name == "index0") return Value::integer(index);
  if (name == "revindex") return Value::integer(length - index);
  if (name == "revindex0") return Value::integer(length - index - 1);
  if (name == "first") return Value::boolean(index == 0);
  if (name == "last") return Value::boolean(index + 1 == length);
  if (name == "length") return Value::integer(length);
  if (name == "depth") return Value::integer(loop.depth);
  if (name == "depth0") return Value::integer(loop.depth - 1);
  if (name == "previtem" && index > 0) return (*loop.items)[loop.index - 1];
  if (name == "nextitem" && index + 1 < length) return (*loop.items)[loop.index + 1];
  return Value::undefined(runtime.arena.text("loop." + std::string(name)).as_text());
}

// The characters of `text`, as views.
List characters_of(std::string_view text) {
  List items;
  for (size_t at = 0; at < text.size();) {
    const size_t size = utf8_code_point_at(text, at).size_bytes;
    items.push_back(Value::text(text.substr(at, size)));
    at += size;
  }
  return items;
}

// Python's rule for one bound of a slice of `length` items.
int64_t slice_bound(const Value& bound, int64_t absent, int64_t length, bool backward) {
  if (!bound.is(Kind::kInteger)) return absent;
  int64_t at = bound.as_integer();
  if (at < 0) at = at < -length ? -1 : at + length;
  const int64_t lowest = backward ? -1 : 0;
  const int64_t highest = backward ? length - 1 : length;
  return at < lowest ? lowest : at > highest ? highest : at;
}

Result<Value> integer_arithmetic(std::string_view op, int64_t a, int64_t b) {
  int64_t out = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(a, b, &out);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(a, b, &out);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(a, b, &out);
  } else if (op == "**") {
    if (b < 0) return Value::real(std::pow(static_cast<double>(a), static_cast<double>(b)));
    out = 1;
    for (int64_t i = 0; i < b && !overflow && out != 0 && !(a == 1); ++i) {
      if (i > 128) break;  // only -1 gets here: its sign is all that is left
      overflow = __builtin_mul_overflow(out, a, &out);
    }
    if (a == -1) out = b % 2 == 0 ? 1 : -1;
  } else {
    if (b == 0) return error(Code::kInvalidArgument, "division by zero");
    if (op == "/") return Value::real(static_cast<double>(a) / static_cast<double>(b));
    if (b == -1) {  // the one quotient that may not fit
      overflow = op == "//" && __builtin_sub_overflow(int64_t{0}, a, &out);
    } else {
      const int64_t rest = a % b;
      const bool down = rest != 0 && (rest < 0) != (b < 0);  // Python rounds down
      out = op == "//" ? a / b - (down ? 1 : 0) : rest + (down ? b : 0);
    }
  }
  if (overflow) return error(Code::kInvalidArgument, "a number is too large");
  return Value::integer(out);
}

Result<Value> real_arithmetic(std::string_view op, double a, double b) {
  if (op == "+") return Value::real(a + b);
  if (op == "-") return Value::real(a - b);
  if (op == "*") return Value::real(a * b);
  if (op == "**") return Value::real(std::pow(a, b));
  if (b == 0) return error(Code::kInvalidArgument, "division by zero");
  if (op == "/") return Value::real(a / b);
  if (op == "//") return Value::real(std::floor(a / b));
  return Value::real(a - b * std::floor(a / b));
}

Result<Value> repeat(Runtime& runtime, std::string_view text, int64_t count) {
  if (count <= 0 || text.empty()) return Value::text("");
  if (static_cast<uint64_t>(count) > runtime.limits.max_output_bytes / text.size()) {
    return error(Code::kInvalidArgument, "a repeated text is too long");
  }
  std::string out;
  for (int64_t i = 0; i < count; ++i) out += text;
  return runtime.text(std::move(out));
}

}  // namespace

Result<Value> attribute_of(Runtime& runtime, const Value& value, std::string_view name) {
  if (value.is(Kind::kUndefined)) return nothing_in(value, name);
  if (value.is(Kind::kLoop)) return loop_attribute(runtime, value.as_loop(), name);
  if (value.is_tuple() && value.as_list().size() == 2) {  // a group's names for its parts
    if (name == "grouper") return value.as_list()[0];
    if (name == "list") return value.as_list()[1];
  }
  if (value.is(Kind::kDict) || value.is(Kind::kNamespace)) {
    HOTSET_RETURN_IF_ERROR(runtime.charge(value.as_dict().entries.size() / 16));
    const Value* found = value.as_dict().find(name);
    if (found != nullptr) return *found;
  }
  return Value::undefined(name);
}

Result<Value> item_of(Runtime& runtime, const Value& value, const Value& key) {
  if (key.is(Kind::kString)) return attribute_of(runtime, value, key.as_text());
  if (value.is(Kind::kUndefined)) return nothing_in(value, "[]");
  if (value.is(Kind::kDict)) {
    HOTSET_RETURN_IF_ERROR(runtime.charge(value.as_dict().entries.size() / 16));
    const Value* found = value.as_dict().find(key);
    return found != nullptr ? *found : Value::undefined("item");
  }
  if (!key.is(Kind::kInteger) && !key.is(Kind::kBoolean)) return Value::undefined("item");
  if (value.is(Kind::kString)) {
    HOTSET_ASSIGN(const List* characters, items_of(runtime, value));
    return item_of(runtime, Value::list(characters), key);
  }
  if (!value.is(Kind::kList)) return Value::undefined("item");
  const auto length = static_cast<int64_t>(value.as_list().size());
  const int64_t index = key.as_integer() < 0 ? key.as_integer() + length : key.as_integer();
  if (index < 0 || index >= length) return Value::undefined("item");
  return value.as_list()[static_cast<size_t>(index)];
}

Result<Value> slice_of(Runtime& runtime, const Value& value, const Value& begin, const Value& end, const Value& step) {
  if (!value.is(Kind::kList) && !value.is(Kind::kString)) {
    return error(Code::kInvalidArgument, "'%s' cannot be sliced", value.type_name());
  }
  const int64_t stride = step.is(Kind::kInteger) ? step.as_integer() : 1;
  if (stride == 0) return error(Code::kInvalidArgument, "a slice cannot have step 0");
  HOTSET_ASSIGN(const List* items, items_of(runtime, value));
  const auto length = static_cast<int64_t>(items->size());
  HOTSET_RETURN_IF_ERROR(runtime.charge(items->size()));
  const bool backward = stride < 0;
  const int64_t from = slice_bound(begin, backward ? length - 1 : 0, length, backward);
  const int64_t to = slice_bound(end, backward ? -1 : length, length, backward);
  List picked;
  for (int64_t i = from; backward ? i > to : i < to;) {
    picked.push_back((*items)[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  if (value.is(Kind::kList)) return runtime.arena.list(std::move(picked), value.is_tuple());
  std::string text;
  for (const Value& character : picked) text += character.as_text();
  return runtime.text(std::move(text));
}

Result<const List*> items_of(Runtime& runtime, const Value& value) {
  if (value.is(Kind::kList)) return &value.as_list();
  List items;
  if (value.is(Kind::kDict)) {
    for (const auto& [key, item] : value.as_dict().entries) items.push_back(key);
  } else if (value.is(Kind::kString)) {
    HOTSET_RETURN_IF_ERROR(runtime.charge(value.as_text().size()));
    items = characters_of(value.as_text());
  } else if (!value.is(Kind::kUndefined)) {
    return error(Code::kInvalidArgument, "'%s' object is not iterable", value.type_name());
  }
  HOTSET_RETURN_IF_ERROR(runtime.charge(items.size()));
  return &runtime.arena.list(std::move(items)).as_list();
}

Result<bool> contains(Runtime& runtime, const Value& haystack, const Value& needle) {
  if (haystack.is(Kind::kString)) {
    if (!needle.is(Kind::kString)) {
      return error(Code::kInvalidArgument, "'in <string>' requires a string, not '%s'", needle.type_name());
    }
    HOTSET_RETURN_IF_ERROR(runtime.charge(haystack.as_text().size() / 16));
    return haystack.as_text().find(needle.as_text()) != std::string_view::npos;
  }
  HOTSET_ASSIGN(const List* items, items_of(runtime, haystack));
  HOTSET_RETURN_IF_ERROR(runtime.charge(items->size()));
  for (const Value& item : *items) {
    HOTSET_ASSIGN(const bool same, runtime.equal(item, needle));
    if (same) return true;
  }
  return false;
}

Result<Value> binary(Runtime& runtime, std::string_view op, const Value& a, const Value& b) {
  if (op == "~") {
    HOTSET_ASSIGN(std::string left, to_text(a, runtime.limits.max_output_bytes));
    HOTSET_ASSIGN(const std::string right, to_text(b, runtime.limits.max_output_bytes));
    return runtime.text(std::move(left) + right);
  }
  if (a.is(Kind::kString) && b.is(Kind::kString) && op == "+") {
    std::string joined(a.as_text());
    return runtime.text(joined.append(b.as_text()));
  }
  if (a.is(Kind::kString) && b.is(Kind::kInteger) && op == "*") return repeat(runtime, a.as_text(), b.as_integer());
  if (a.is(Kind::kString) && op == "%") return format_percent(runtime, a.as_text(), b.is_tuple() ? b.as_list() : List{b});
  if (a.is(Kind::kList) && b.is(Kind::kList) && op == "+") {
    HOTSET_RETURN_IF_ERROR(runtime.charge(a.as_list().size() + b.as_list().size()));
    List joined = a.as_list();
    joined.insert(joined.end(), b.as_list().begin(), b.as_list().end());
    return runtime.arena.list(std::move(joined), a.is_tuple());
  }
  if (a.is_number() && b.is_number()) {
    const bool real = a.is(Kind::kReal) || b.is(Kind::kReal);
    return real ? real_arithmetic(op, a.as_real(), b.as_real()) : integer_arithmetic(op, a.as_integer(), b.as_integer());
  }
  for (const Value* side : {&a, &b}) {
    if (side->is(Kind::kUndefined)) {
      return error(Code::kInvalidArgument, "'%s' is undefined", printable(side->as_text()).c_str());
    }
  }
  return error(Code::kInvalidArgument, "unsupported operand types for %s: '%s' and '%s'",
               std::string(op).c_str(), a.type_name(), b.type_name());
}

}  // namespace hotset::jinja
