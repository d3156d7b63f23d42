// Notations of calls that look like code: Python's and Gemma's.
#include <algorithm>

#include "runtime/text/call_builder.h"
#include "runtime/text/call_literals.h"
#include "runtime/text/json_text.h"
#include "runtime/text/text_cursor.h"

namespace hotset {

namespace {

constexpr size_t kMaxNameBytes = 256;  // as is_tool_name has it

// f(p="v", n=1)
std::optional<ToolCall> take_python_call(TextCursor& cursor, const ToolTypes& types) {
  const std::string_view name = take_name(cursor);
  if (!is_tool_name(name) || !cursor.take("(")) return std::nullopt;
  CallBuilder call(name, types);
  for (cursor.skip_blanks(); !cursor.take(")"); cursor.skip_blanks()) {
    const std::string_view parameter = take_name(cursor);
    cursor.skip_blanks();
    if (parameter.empty() || !cursor.take("=")) return std::nullopt;
    const auto value = take_literal(cursor);
    if (!value) return std::nullopt;
    call.add_json(parameter, *value);
    cursor.skip_blanks();
    if (!cursor.take(",") && cursor.next() != ')') return std::nullopt;
  }
  return call.take();
}

// Calls parted by commas or white space up to `close`, which is passed too; an empty one: to the end.
ToolCalls take_python_calls(TextCursor& cursor, std::string_view close, const ToolTypes& types) {
  std::vector<ToolCall> calls;
  for (cursor.skip_blanks(); close.empty() ? !cursor.at_end() : !cursor.take(close); cursor.take_all_of(", \t\r\n")) {
    auto call = take_python_call(cursor, types);
    if (!call) return std::nullopt;
    calls.push_back(std::move(*call));
  }
  if (calls.empty()) return std::nullopt;
  return calls;
}

}  // namespace

ToolCalls parse_python_calls(std::string_view block, const ToolTypes& types) {
  std::string_view text = trimmed(block);
  if (text.starts_with('<')) text = trimmed(text.substr(std::min(text.find('>'), text.size() - 1) + 1));
  if (text.ends_with('>')) text = trimmed(text.substr(0, text.rfind('<')));
  TextCursor cursor(text);
  const bool in_brackets = cursor.take("[");
  ToolCalls calls = take_python_calls(cursor, in_brackets ? "]" : "", types);
  cursor.skip_blanks();
  return cursor.at_end() ? calls : std::nullopt;
}

ToolCalls parse_python_tag(std::string_view block, const ToolTypes& types) {
  if (auto calls = parse_json_calls(block, types)) return calls;
  auto calls = parse_python_calls(block, types);
  if (!calls) return std::nullopt;
  for (ToolCall& call : *calls) {
    if (call.name.ends_with(".call")) call.name.resize(call.name.size() - std::string_view(".call").size());
  }
  return calls;
}

ToolCalls parse_gemma_call(std::string_view block, const ToolTypes&) {
  TextCursor cursor(block);
  if (!cursor.take("<|tool_call>")) return std::nullopt;
  cursor.skip_blanks();
  if (!cursor.take("call:")) return std::nullopt;
  cursor.skip_blanks();
  const std::string_view name = take_name(cursor);
  if (!is_tool_name(name) || cursor.next() != '{') return std::nullopt;
  const auto arguments = take_literal(cursor);
  cursor.skip_blanks();
  cursor.take("<tool_call|>");
  if (!arguments || !cursor.at_end()) return std::nullopt;
  return std::vector<ToolCall>{{"", std::string(name), *arguments}};
}

bool may_begin_python_calls(std::string_view text) {
  TextCursor cursor(text);
  if (!cursor.take("[")) return text.empty();
  cursor.skip_blanks();
  const std::string_view name = take_name(cursor);
  if (cursor.at_end()) return name.size() <= kMaxNameBytes;
  return !name.empty() && cursor.next() == '(';
}

}  // namespace hotset
