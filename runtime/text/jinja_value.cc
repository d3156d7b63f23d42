#include "runtime/text/jinja_value.h"

namespace hotset::jinja {

Value Value::undefined(std::string_view name) {
  Value v;
  v.text_ = name.data();
  v.size_ = name.size();
  return v;
}

Value Value::none() {
  Value v;
  v.kind_ = Kind::kNone;
  return v;
}

Value Value::boolean(bool value) {
  Value v;
  v.kind_ = Kind::kBoolean;
  v.integer_ = value ? 1 : 0;
  return v;
}

Value Value::integer(int64_t value) {
  Value v;
  v.kind_ = Kind::kInteger;
  v.integer_ = value;
  return v;
}

Value Value::real(double value) {
  Value v;
  v.kind_ = Kind::kReal;
  v.real_ = value;
  return v;
}

Value Value::text(std::string_view value) {
  Value v = undefined(value);
  v.kind_ = Kind::kString;
  return v;
}

Value Value::list(const List* items, bool is_tuple) {
  Value v;
  v.kind_ = Kind::kList;
  v.is_tuple_ = is_tuple;
  v.list_ = items;
  return v;
}

Value Value::dict(Dict* entries, bool is_namespace) {
  Value v;
  v.kind_ = is_namespace ? Kind::kNamespace : Kind::kDict;
  v.dict_ = entries;
  return v;
}

Value Value::loop(const Loop* loop) {
  Value v;
  v.kind_ = Kind::kLoop;
  v.loop_ = loop;
  return v;
}

Value Value::macro(const Stmt* macro) {
  Value v;
  v.kind_ = Kind::kMacro;
  v.macro_ = macro;
  return v;
}

Value Value::caller(const CallerMacro* caller) {
  Value v;
  v.kind_ = Kind::kCaller;
  v.caller_ = caller;
  return v;
}

Value Value::function(std::string_view name) {
  Value v = undefined(name);
  v.kind_ = Kind::kFunction;
  return v;
}

bool Value::is_true() const {
  switch (kind_) {
    case Kind::kUndefined:
    case Kind::kNone: return false;
    case Kind::kBoolean:
    case Kind::kInteger: return integer_ != 0;
    case Kind::kReal: return real_ != 0;
    case Kind::kString: return size_ != 0;
    case Kind::kList: return !list_->empty();
    case Kind::kDict: return !dict_->entries.empty();
    case Kind::kNamespace:
    case Kind::kLoop:
    case Kind::kMacro:
    case Kind::kCaller:
    case Kind::kFunction: return true;
  }
  return false;
}

const char* Value::type_name() const {
  switch (kind_) {
    case Kind::kUndefined: return "Undefined";
    case Kind::kNone: return "NoneType";
    case Kind::kBoolean: return "bool";
    case Kind::kInteger: return "int";
    case Kind::kReal: return "float";
    case Kind::kString: return "str";
    case Kind::kList: return is_tuple_ ? "tuple" : "list";
    case Kind::kDict: return "dict";
    case Kind::kNamespace: return "Namespace";
    case Kind::kLoop: return "LoopContext";
    case Kind::kMacro:
    case Kind::kCaller: return "Macro";
    case Kind::kFunction: return "function";
  }
  return "?";
}

namespace {

// As Python's dicts have it: 1, 1.0 and true are one key.
bool is_same_key(const Value& a, const Value& b) {
  if (a.is(Kind::kString) && b.is(Kind::kString)) return a.as_text() == b.as_text();
  if (a.is_number() && b.is_number()) return a.as_real() == b.as_real();
  return a.is(Kind::kNone) && b.is(Kind::kNone);
}

}  // namespace

const Value* Dict::find(const Value& key) const {
  for (const auto& [name, value] : entries) {
    if (is_same_key(name, key)) return &value;
  }
  return nullptr;
}

void Dict::set(const Value& key, const Value& value) {
  for (auto& [name, old] : entries) {
    if (!is_same_key(name, key)) continue;
    old = value;
    return;
  }
  entries.emplace_back(key, value);
}

Value ValueArena::text(std::string value) {
  used_bytes_ += sizeof(std::string) + value.size();
  return Value::text(texts_.emplace_back(std::move(value)));
}

Value ValueArena::list(List items, bool is_tuple) {
  used_bytes_ += sizeof(List) + items.size() * sizeof(Value);
  return Value::list(&lists_.emplace_back(std::move(items)), is_tuple);
}

Value ValueArena::dict(Dict entries, bool is_namespace) {
  used_bytes_ += sizeof(Dict) + entries.entries.size() * sizeof(entries.entries[0]);
  return Value::dict(&dicts_.emplace_back(std::move(entries)), is_namespace);
}

Loop& ValueArena::loop(const List* items) {
  used_bytes_ += sizeof(Loop);
  Loop& loop = loops_.emplace_back();
  loop.items = items;
  return loop;
}

const Value* ValueArena::keep(const Value& value) {
  used_bytes_ += sizeof(Value);
  return &kept_.emplace_back(value);
}

namespace {

constexpr int kMaxCompareDepth = 64;

bool equal_within(const Value& a, const Value& b, int depth, uint64_t& work) {
  if (++work > kMaxCompareWork) return false;
  if (a.is_number() && b.is_number()) {
    if (a.is(Kind::kReal) || b.is(Kind::kReal)) return a.as_real() == b.as_real();
    return a.as_integer() == b.as_integer();
  }
  if (a.kind() != b.kind() || depth > kMaxCompareDepth) return false;
  if (a.is(Kind::kString)) {
    work += a.as_text().size() / 64;
    return a.as_text() == b.as_text();
  }
  if (a.is(Kind::kList)) {
    if (a.is_tuple() != b.is_tuple() || a.as_list().size() != b.as_list().size()) return false;
    for (size_t i = 0; i < a.as_list().size(); ++i) {
      if (!equal_within(a.as_list()[i], b.as_list()[i], depth + 1, work)) return false;
    }
    return true;
  }
  if (a.is(Kind::kDict)) {
    if (a.as_dict().entries.size() != b.as_dict().entries.size()) return false;
    for (const auto& [key, value] : a.as_dict().entries) {
      work += b.as_dict().entries.size() / 16;
      const Value* other = b.as_dict().find(key);
      if (other == nullptr || !equal_within(value, *other, depth + 1, work)) return false;
    }
    return true;
  }
  if (a.is(Kind::kNamespace)) return &a.as_dict() == &b.as_dict();
  if (a.is(Kind::kMacro)) return &a.as_macro() == &b.as_macro();
  if (a.is(Kind::kCaller)) return &a.as_caller() == &b.as_caller();
  if (a.is(Kind::kFunction)) return a.as_text() == b.as_text();
  return !a.is(Kind::kLoop) || &a.as_loop() == &b.as_loop();
}

}  // namespace

bool equal(const Value& a, const Value& b, uint64_t& work) { return equal_within(a, b, 0, work); }

Result<bool> less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is(Kind::kReal) || b.is(Kind::kReal)) return a.as_real() < b.as_real();
    return a.as_integer() < b.as_integer();
  }
  // Bytes of UTF-8 are in the order of their code points.
  if (a.is(Kind::kString) && b.is(Kind::kString)) return a.as_text() < b.as_text();
  return error(Code::kInvalidArgument, "'%s' and '%s' have no order", a.type_name(), b.type_name());
}

}  // namespace hotset::jinja
