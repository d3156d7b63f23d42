// The filters, tests, methods and functions that chat templates use. ASCII letters only change case.
#pragma once

#include "runtime/text/jinja_runtime.h"

namespace hotset::jinja {

using Builtin = Result<Value> (*)(Runtime&, const Value& subject, const Arguments&);
using Test = Result<bool> (*)(Runtime&, const Value& subject, const Arguments&);

// Each by its name; nullptr when there is none. A function ignores its subject.
Builtin find_filter(std::string_view name);
Test find_test(std::string_view name);
Builtin find_method(const Value& subject, std::string_view name);
Builtin find_function(std::string_view name);

// Those that few templates use: filters that part lists (jinja_grouping.cc) and methods of texts (jinja_text_methods.cc).
Builtin find_grouping_filter(std::string_view name);
Builtin find_rare_text_method(std::string_view name);

// Python's `text % values` for the conversions s d i f x r %, and text.format(...) for {}, {0} and {name}.
Result<Value> format_percent(Runtime& runtime, std::string_view text, const List& values);
Result<Value> format_braces(Runtime& runtime, std::string_view text, const Arguments& arguments);

// The value at the end of a path like "function.name".
Result<Value> attribute_at(Runtime& runtime, Value value, std::string_view path);

// `value.name` and `value[key]`; undefined where there is nothing. Error: the value itself is undefined.
Result<Value> attribute_of(Runtime& runtime, const Value& value, std::string_view name);
Result<Value> item_of(Runtime& runtime, const Value& value, const Value& key);
// `value[begin:end:step]`; undefined parts are absent.
Result<Value> slice_of(Runtime& runtime, const Value& value, const Value& begin, const Value& end, const Value& step);

// What a loop walks: items of a list, keys of a dict, characters of a text. Lives in the arena. Error: not iterable.
Result<const List*> items_of(Runtime& runtime, const Value& value);

// `needle in haystack`.
Result<bool> contains(Runtime& runtime, const Value& haystack, const Value& needle);

// `a op b` for + - * / // % ** ~.
Result<Value> binary(Runtime& runtime, std::string_view op, const Value& a, const Value& b);

// Python's str.lower() and str.upper() on ASCII.
std::string lower_case(std::string_view text);
std::string upper_case(std::string_view text);

}  // namespace hotset::jinja
