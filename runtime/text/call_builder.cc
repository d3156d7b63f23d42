#include "runtime/text/call_builder.h"

#include <algorithm>

namespace hotset {

bool is_tool_name(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("_-.:/").find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= 256 && std::all_of(text.begin(), text.end(), fits);
}

bool is_parameter_name(std::string_view text) {
  return !text.empty() && text.size() <= 256 && text.find_first_of("\r\n<>\"") == std::string_view::npos;
}

std::optional<ToolCall> call_of_json(std::string_view text) {
  const auto members = json_members(text);
  if (!members) return std::nullopt;
  ToolCall call;
  call.arguments = "{}";
  for (const auto& [name, value] : *members) {
    if (name == "name" || name == "tool_name") call.name = json_unquoted(value).value_or("");
    if (name == "id" || name == "tool_call_id") call.id = json_unquoted(value).value_or("");
    if (name == "arguments" || name == "parameters") call.arguments = json_unquoted(value).value_or(std::string(value));
  }
  if (call.name.empty() || !is_json_object(call.arguments)) return std::nullopt;
  return call;
}

}  // namespace hotset
