#include "runtime/text/json_values.h"

#include <nlohmann/json.hpp>

#include "runtime/text/json_text.h"

namespace hotset {
namespace {

using Json = nlohmann::ordered_json;

jinja::Value value_of(const Json& json, jinja::ValueArena& arena) {
  using jinja::Value;
  switch (json.type()) {
    case Json::value_t::boolean: return Value::boolean(json.get<bool>());
    case Json::value_t::number_integer: return Value::integer(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      return json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX) ? Value::real(json.get<double>()) : Value::integer(json.get<int64_t>());
    case Json::value_t::number_float: return Value::real(json.get<double>());
    case Json::value_t::string: return arena.text(json.get<std::string>());
    case Json::value_t::array: {
      jinja::List items;
      for (const Json& item : json) items.push_back(value_of(item, arena));
      return arena.list(std::move(items));
    }
    case Json::value_t::object: {
      jinja::Dict entries;
      for (const auto& [key, value] : json.items()) entries.set(arena.text(key), value_of(value, arena));
      return arena.dict(std::move(entries));
    }
    default: return Value::none();
  }
}

}  // namespace

Result<jinja::Value> json_value(std::string_view text, const char* what, jinja::ValueArena& arena) {
  if (!is_json(text)) return error(Code::kInvalidArgument, "%s are no JSON, or nested too deep", what);  // is_json bounds the nesting
  return value_of(Json::parse(text.begin(), text.end()), arena);
}

}  // namespace hotset
