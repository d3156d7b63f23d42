// CallBuilder: collects the arguments of one call. Shared by the notations (tool_notation.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/text/json_text.h"
#include "runtime/text/tool_notation.h"

namespace hotset {

// A tool's name. It stands bare in some notations, so other text must not pass for one.
bool is_tool_name(std::string_view text);
bool is_parameter_name(std::string_view text);

// {"name": ..., "arguments": {...}}; the arguments may be called parameters, or be JSON within a string, and names may begin with "tool_".
std::optional<ToolCall> call_of_json(std::string_view text);

class CallBuilder {
 public:
  CallBuilder(std::string_view name, const ToolTypes& types) : types_(types) { call_.name = name; }

  // A value as plain text: ToolTypes says what it is.
  void add(std::string_view parameter, std::string_view value) {
    add_json(parameter, types_.to_json(call_.name, std::string(parameter), value));
  }
  void add_json(std::string_view parameter, const std::string& value) {
    call_.arguments += call_.arguments.empty() ? "{" : ", ";
    call_.arguments += json_quoted(parameter) + ": " + value;
  }
  ToolCall take() {
    call_.arguments += call_.arguments.empty() ? "{}" : "}";
    return std::move(call_);
  }

 private:
  const ToolTypes& types_;
  ToolCall call_;
};

}  // namespace hotset
