// ModelOutput: what a model wrote, taken apart.
#pragma once

#include <string>
#include <vector>

namespace hotset {

struct ToolCall {
  std::string id;         // the model's own, else "call_0", "call_1", ...
  std::string name;
  std::string arguments;  // a JSON object, as text

  bool operator==(const ToolCall&) const = default;
};

struct ModelOutput {
  std::string reasoning;
  std::string content;
  std::vector<ToolCall> tool_calls;

  bool empty() const { return reasoning.empty() && content.empty() && tool_calls.empty(); }
  bool operator==(const ModelOutput&) const = default;
};

}  // namespace hotset
