// Filters that part or count a subject (jinja.palletsprojects.com/en/stable/templates/#builtin-filters).
#include <algorithm>

#include "runtime/text/jinja_builtins.h"

namespace hotset::jinja {

namespace {

// A positive whole number among the arguments.
Result<size_t> size_argument(const Arguments& arguments, size_t index, std::string_view name) {
  const Value* value = arguments.find(index, name);
  if (value == nullptr || !value->is(Kind::kInteger) || value->as_integer() < 1 || value->as_integer() > 100000) {
    return error(Code::kInvalidArgument, "a number of items from 1 to 100000 was expected");
  }
  return static_cast<size_t>(value->as_integer());
}

// Pairs of (value of the attribute, items that have it), by rising value.
Result<Value> groupby(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Value* attribute = arguments.find(0, "attribute");
  const Value* fallback = arguments.find(1, "default");
  if (attribute == nullptr || !attribute->is(Kind::kString)) return error(Code::kInvalidArgument, "groupby takes an attribute's name");
  HOTSET_ASSIGN(const Value sorted, find_filter("sort")(runtime, subject, Arguments{{}, {{"attribute", *attribute}}}));
  List groups;
  List members;
  Value key;
  const auto close = [&] {
    if (members.empty()) return;
    groups.push_back(runtime.arena.list({key, runtime.arena.list(std::move(members))}, true));
    members = {};
  };
  for (const Value& item : sorted.as_list()) {
    HOTSET_ASSIGN(Value value, attribute_at(runtime, item, attribute->as_text()));
    if (value.is(Kind::kUndefined) && fallback != nullptr) value = *fallback;
    HOTSET_ASSIGN(const bool same, runtime.equal(value, key));
    if (!same) close();
    key = value;
    members.push_back(item);
  }
  close();
  return runtime.arena.list(std::move(groups));
}

// Lists of `linecount` items; the last one filled up with the second argument.
Result<Value> batch(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const size_t size, size_argument(arguments, 0, "linecount"));
  const Value* fill = arguments.find(1, "fill_with");
  HOTSET_ASSIGN(const List* items, items_of(runtime, subject));
  HOTSET_RETURN_IF_ERROR(runtime.charge(items->size() + size));
  List lines;
  for (size_t begin = 0; begin < items->size(); begin += size) {
    const size_t end = std::min(begin + size, items->size());
    List line(items->begin() + static_cast<std::ptrdiff_t>(begin), items->begin() + static_cast<std::ptrdiff_t>(end));
    if (fill != nullptr) line.resize(size, *fill);
    lines.push_back(runtime.arena.list(std::move(line)));
  }
  return runtime.arena.list(std::move(lines));
}

// That many lists, the first ones one item longer where it does not come out even.
Result<Value> slice(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  HOTSET_ASSIGN(const size_t count, size_argument(arguments, 0, "slices"));
  const Value* fill = arguments.find(1, "fill_with");
  HOTSET_ASSIGN(const List* items, items_of(runtime, subject));
  HOTSET_RETURN_IF_ERROR(runtime.charge(items->size() + count));
  const size_t least = items->size() / count;
  const size_t longer = items->size() % count;
  List slices;
  auto at = items->begin();
  for (size_t i = 0; i < count; ++i) {
    const auto size = static_cast<std::ptrdiff_t>(least + (i < longer ? 1 : 0));
    List part(at, at + size);
    at += size;
    if (fill != nullptr && longer != 0 && i >= longer) part.push_back(*fill);
    slices.push_back(runtime.arena.list(std::move(part)));
  }
  return runtime.arena.list(std::move(slices));
}

Result<Value> wordcount(Runtime& runtime, const Value& subject, const Arguments&) {
  HOTSET_ASSIGN(const Value text, find_filter("string")(runtime, subject, {}));
  HOTSET_ASSIGN(const Value words, find_method(text, "split")(runtime, text, {}));
  return Value::integer(static_cast<int64_t>(words.as_list().size()));
}

Result<Value> attr(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Value* name = arguments.find(0, "name");
  if (name == nullptr || !name->is(Kind::kString)) return error(Code::kInvalidArgument, "attr takes a name");
  return attribute_of(runtime, subject, name->as_text());
}

Result<Value> center(Runtime& runtime, const Value& subject, const Arguments& arguments) {
  const Value* width = arguments.find(0, "width");
  const Value eighty = Value::integer(80);
  HOTSET_ASSIGN(const Value text, find_filter("string")(runtime, subject, {}));
  return find_method(text, "center")(runtime, text, Arguments{{width != nullptr ? *width : eighty}, {}});
}

}  // namespace

Builtin find_grouping_filter(std::string_view name) {
  struct NamedFilter {
    std::string_view name;
    Builtin function;
  };
  constexpr NamedFilter kFilters[] = {
      {"groupby", groupby}, {"batch", batch}, {"slice", slice}, {"wordcount", wordcount}, {"attr", attr}, {"center", center},
  };
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return filter.function;
  }
  return nullptr;
}

}  // namespace hotset::jinja
