// Value: what an expression in a chat template stands for; ValueArena: where the values of one rendering live.
//
// A Value is a small view: its text, items and entries belong to the arena (or to the parsed template, or to the caller's
// input) and live as long as that does. So values are copied freely, and a namespace that holds itself leaks nothing.
// One thread per arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/status.h"

namespace hotset::jinja {

class Value;
struct Stmt;
struct CallerMacro;
using List = std::vector<Value>;

// Entries in the order of insertion; keys are texts, numbers or none.
struct Dict;

// Where a {% for %} stands.
struct Loop;

enum class Kind {
  kUndefined,
  kNone,
  kBoolean,
  kInteger,
  kReal,
  kString,
  kList,       // a tuple too
  kDict,
  kNamespace,  // a dict that {% set ns.x %} may change
  kLoop,
  kMacro,
  kCaller,    // the body of a {% call %}, as the macro that it calls sees it
  kFunction,  // one that is built in
};

class Value {
 public:
  Value() : integer_(0) {}
  static Value undefined(std::string_view name);
  static Value none();
  static Value boolean(bool value);
  static Value integer(int64_t value);
  static Value real(double value);
  static Value text(std::string_view value);
  static Value list(const List* items, bool is_tuple = false);
  static Value dict(Dict* entries, bool is_namespace = false);
  static Value loop(const Loop* loop);
  static Value macro(const Stmt* macro);
  static Value caller(const CallerMacro* caller);
  static Value function(std::string_view name);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_number() const { return kind_ == Kind::kInteger || kind_ == Kind::kReal || kind_ == Kind::kBoolean; }
  bool is_mapping() const { return kind_ == Kind::kDict; }
  bool is_tuple() const { return is_tuple_; }
  bool is_callable() const { return kind_ == Kind::kMacro || kind_ == Kind::kCaller || kind_ == Kind::kFunction; }

  // Only for the kind named; undefined values have text too, the name that stands for nothing, and functions have their name.
  bool as_boolean() const { return integer_ != 0; }
  int64_t as_integer() const { return integer_; }
  double as_real() const { return kind_ == Kind::kReal ? real_ : static_cast<double>(integer_); }
  std::string_view as_text() const { return {text_, size_}; }
  std::string_view as_text_or(std::string_view other) const { return kind_ == Kind::kString ? as_text() : other; }
  const List& as_list() const { return *list_; }
  Dict& as_dict() const { return *dict_; }
  const Loop& as_loop() const { return *loop_; }
  const Stmt& as_macro() const { return *macro_; }
  const CallerMacro& as_caller() const { return *caller_; }

  // What {% if %} makes of it.
  bool is_true() const;
  // Python's name for the type, for error messages.
  const char* type_name() const;

 private:
  Kind kind_ = Kind::kUndefined;
  bool is_tuple_ = false;
  size_t size_ = 0;  // of text_
  union {
    int64_t integer_;
    double real_;
    const char* text_;
    const List* list_;
    Dict* dict_;
    const Loop* loop_;
    const Stmt* macro_;
    const CallerMacro* caller_;
  };
};

struct Dict {
  std::vector<std::pair<Value, Value>> entries;

  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const { return find(Value::text(key)); }
  void set(const Value& key, const Value& value);
  void set(std::string_view key, const Value& value) { set(Value::text(key), value); }

  // What may be a key.
  static bool is_key(const Value& value) { return value.is(Kind::kString) || value.is_number() || value.is(Kind::kNone); }
};

struct Loop {
  const List* items = nullptr;
  size_t index = 0;
  int depth = 1;                // of loops that call themselves
  const Stmt* stmt = nullptr;   // where the loop may call itself
  const Value* last = nullptr;  // what loop.changed was given last
};

class ValueArena {
 public:
  Value text(std::string value);
  Value list(List items, bool is_tuple = false);
  Value dict(Dict entries, bool is_namespace = false);
  Loop& loop(const List* items);
  const Value* keep(const Value& value);

  // Memory handed out so far, for a rendering's limit.
  size_t used_bytes() const { return used_bytes_; }

 private:
  std::deque<std::string> texts_;
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<Loop> loops_;
  std::deque<Value> kept_;
  size_t used_bytes_ = 0;
};

// Python's ==. Adds to `work` what it took, in values and 64-byte pieces of text; says no once that exceeds kMaxCompareWork,
// since lists that share items can stand for far more values than they hold.
inline constexpr uint64_t kMaxCompareWork = 1'000'000;
bool equal(const Value& a, const Value& b, uint64_t& work);

// Python's <. Error: kinds that have no order between them.
Result<bool> less(const Value& a, const Value& b);

struct JsonFormat {
  int indent = -1;  // below 0: on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
  bool ascii_only = false;
};

// Python's str() and json.dumps(). Errors: nested too deep, longer than `limit_bytes`, or what JSON cannot hold.
Result<std::string> to_text(const Value& value, size_t limit_bytes);
Result<std::string> to_json(const Value& value, const JsonFormat& format, size_t limit_bytes);

}  // namespace hotset::jinja
