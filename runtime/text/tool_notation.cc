#include "runtime/text/tool_notation.h"

#include <algorithm>

#include "runtime/text/call_builder.h"
#include "runtime/text/json_text.h"
#include "runtime/text/text_cursor.h"

namespace hotset {

namespace {

// One newline on either side belongs to the tags.
std::string_view without_line_ends(std::string_view text) {
  if (text.starts_with('\n')) text.remove_prefix(1);
  if (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

// <function=f> ... </function>, any number of them; between them parameters or, as Llama 3.1 has it, a JSON object.
ToolCalls functions_at(TextCursor& cursor, const ToolTypes& types) {
  std::vector<ToolCall> calls;
  for (cursor.skip_blanks(); cursor.take("<function="); cursor.skip_blanks()) {
    const auto name = cursor.until(">");
    if (!name || !is_tool_name(*name)) return std::nullopt;
    if (cursor.next() == '{') {
      const auto arguments = cursor.until("</function>");
      if (!arguments || !is_json_object(*arguments)) return std::nullopt;
      calls.push_back({"", std::string(*name), std::string(trimmed(*arguments))});
      continue;
    }
    CallBuilder call(*name, types);
    for (cursor.skip_blanks(); cursor.take("<parameter="); cursor.skip_blanks()) {
      const auto parameter = cursor.until(">");
      const auto value = cursor.until("</parameter>");
      if (!parameter || !value || !is_parameter_name(*parameter)) return std::nullopt;
      call.add(*parameter, without_line_ends(*value));
    }
    if (!cursor.take("</function>")) return std::nullopt;
    calls.push_back(call.take());
  }
  if (calls.empty()) return std::nullopt;
  return calls;
}

// f, then <arg_key>p</arg_key><arg_value>v</arg_value> any number of times.
ToolCalls glm_call_of(std::string_view text, const ToolTypes& types) {
  const size_t name_end = std::min(text.find("<arg_key>"), text.size());
  const std::string_view name = trimmed(text.substr(0, name_end));
  if (!is_tool_name(name)) return std::nullopt;
  TextCursor cursor(text.substr(name_end));
  CallBuilder call(name, types);
  for (cursor.skip_blanks(); cursor.take("<arg_key>"); cursor.skip_blanks()) {
    const auto parameter = cursor.until("</arg_key>");
    cursor.skip_blanks();
    if (!parameter || !cursor.take("<arg_value>")) return std::nullopt;
    const auto value = cursor.until("</arg_value>");
    if (!value) return std::nullopt;
    call.add(trimmed(*parameter), *value);
  }
  if (!cursor.at_end()) return std::nullopt;
  return std::vector<ToolCall>{call.take()};
}

// <invoke name="f"><parameter name="p" string="true">v</parameter></invoke>, with `mark` before each tag's name.
ToolCalls invokes_at(TextCursor& cursor, const std::string& mark, const ToolTypes& types) {
  std::vector<ToolCall> calls;
  for (cursor.skip_blanks(); cursor.take("<" + mark + "invoke name=\""); cursor.skip_blanks()) {
    const auto name = cursor.until("\">");
    if (!name || !is_tool_name(*name)) return std::nullopt;
    CallBuilder call(*name, types);
    for (cursor.skip_blanks(); cursor.take("<" + mark + "parameter name=\""); cursor.skip_blanks()) {
      const auto parameter = cursor.until("\"");
      const auto attribute = cursor.until(">");
      const auto value = cursor.until("</" + mark + "parameter>");
      if (!parameter || !attribute || !value || !is_parameter_name(*parameter)) return std::nullopt;
      if (trimmed(*attribute) == "string=\"true\"") call.add_json(*parameter, json_quoted(*value));
      else call.add(*parameter, *value);
    }
    if (!cursor.take("</" + mark + "invoke>")) return std::nullopt;
    calls.push_back(call.take());
  }
  if (calls.empty()) return std::nullopt;
  return calls;
}

// The calls, if nothing but `close` follows them; a block that the model did not close is taken as well.
ToolCalls closed(ToolCalls calls, TextCursor& cursor, std::string_view close) {
  cursor.skip_blanks();
  if (calls && (cursor.at_end() || (cursor.take(close) && cursor.at_end()))) return calls;
  return std::nullopt;
}

// What stands on either side of <｜tool▁sep｜> in one call of DeepSeek's.
std::optional<ToolCall> deepseek_call(std::string_view before, std::string_view after) {
  ToolCall call;
  const size_t fence = after.find("\n```json\n");
  if (fence == std::string_view::npos) {
    call.name = trimmed(before);
    call.arguments = trimmed(after);
  } else {
    const size_t begin = fence + std::string_view("\n```json\n").size();
    const size_t end = after.rfind("```");
    if (end < begin || !trimmed(after.substr(end + 3)).empty()) return std::nullopt;
    call.name = trimmed(after.substr(0, fence));
    call.arguments = trimmed(after.substr(begin, end - begin));
  }
  if (!is_tool_name(call.name) || !is_json_object(call.arguments)) return std::nullopt;
  return call;
}

// "functions.f:0" without what is around the name.
std::string_view kimi_name(std::string_view id) {
  if (id.starts_with("functions.")) id.remove_prefix(std::string_view("functions.").size());
  return id.substr(0, id.rfind(':'));
}

}  // namespace

ToolTypes::ToolTypes(std::string_view tools) {
  const auto items = json_items(tools);
  if (!items) return;
  for (const std::string_view tool : *items) take_tool(tool);
}

void ToolTypes::take_tool(std::string_view tool) {
  const auto member = [](std::string_view object, std::string_view wanted) {
    const auto members = json_members(object);
    std::string_view found;
    for (const auto& [name, value] : members.value_or(std::vector<std::pair<std::string, std::string_view>>())) {
      if (name == wanted) found = value;
    }
    return found;
  };
  const std::string_view inner = member(tool, "function");
  const std::string_view function = inner.empty() ? tool : inner;
  const auto name = json_unquoted(member(function, "name"));
  const auto properties = json_members(member(member(function, "parameters"), "properties"));
  if (!name || !properties) return;
  for (const auto& [parameter, schema] : *properties) {
    if (json_unquoted(member(schema, "type")).value_or("") == "string") texts_.emplace(*name, parameter);
  }
}

std::string ToolTypes::to_json(const std::string& tool, const std::string& parameter, std::string_view value) const {
  if (texts_.count({tool, parameter}) != 0 || !is_json(value)) return json_quoted(value);
  return std::string(trimmed(value));
}

ToolCalls parse_tool_call_tag(std::string_view block, const ToolTypes& types) {
  TextCursor cursor(block);
  if (!cursor.take("<tool_call>")) return std::nullopt;
  std::string_view text = trimmed(cursor.rest());
  if (text.ends_with("</tool_call>")) text.remove_suffix(std::string_view("</tool_call>").size());
  text = trimmed(text);
  if (text.starts_with('{')) {
    auto call = call_of_json(text);
    if (!call) return std::nullopt;
    return std::vector<ToolCall>{std::move(*call)};
  }
  if (!text.starts_with("<function=")) return glm_call_of(text, types);
  TextCursor functions(text);
  return closed(functions_at(functions, types), functions, "</tool_call>");
}

ToolCalls parse_function_tag(std::string_view block, const ToolTypes& types) {
  TextCursor cursor(block);
  return closed(functions_at(cursor, types), cursor, "</tool_call>");
}

ToolCalls parse_seed_calls(std::string_view block, const ToolTypes& types) {
  TextCursor cursor(block);
  if (!cursor.take("<seed:tool_call>")) return std::nullopt;
  return closed(functions_at(cursor, types), cursor, "</seed:tool_call>");
}

ToolCalls parse_deepseek_calls(std::string_view block, const ToolTypes&) {
  TextCursor cursor(block);
  if (!cursor.take("<｜tool▁calls▁begin｜>")) return std::nullopt;
  std::vector<ToolCall> calls;
  for (cursor.skip_blanks(); cursor.take("<｜tool▁call▁begin｜>"); cursor.skip_blanks()) {
    const auto before = cursor.until("<｜tool▁sep｜>");
    const auto after = cursor.until("<｜tool▁call▁end｜>");
    auto call = before && after ? deepseek_call(*before, *after) : std::nullopt;
    if (!call) return std::nullopt;
    calls.push_back(std::move(*call));
  }
  if (calls.empty()) return std::nullopt;
  return closed(std::move(calls), cursor, "<｜tool▁calls▁end｜>");
}

ToolCalls parse_dsml_calls(std::string_view block, const ToolTypes& types) {
  const std::string mark = "｜DSML｜";
  TextCursor cursor(block);
  for (const char* name : {"function_calls", "tool_calls"}) {
    if (cursor.take("<" + mark + name + ">")) return closed(invokes_at(cursor, mark, types), cursor, "</" + mark + name + ">");
  }
  return std::nullopt;
}

ToolCalls parse_kimi_calls(std::string_view block, const ToolTypes&) {
  TextCursor cursor(block);
  if (!cursor.take("<|tool_calls_section_begin|>")) return std::nullopt;
  std::vector<ToolCall> calls;
  for (cursor.skip_blanks(); cursor.take("<|tool_call_begin|>"); cursor.skip_blanks()) {
    const auto id = cursor.until("<|tool_call_argument_begin|>");
    const auto arguments = cursor.until("<|tool_call_end|>");
    if (!id || !arguments || !is_tool_name(kimi_name(trimmed(*id))) || !is_json_object(*arguments)) return std::nullopt;
    calls.push_back({std::string(trimmed(*id)), std::string(kimi_name(trimmed(*id))), std::string(trimmed(*arguments))});
  }
  if (calls.empty()) return std::nullopt;
  return closed(std::move(calls), cursor, "<|tool_calls_section_end|>");
}

ToolCalls parse_minimax_calls(std::string_view block, const ToolTypes& types) {
  TextCursor cursor(block);
  if (!cursor.take("<minimax:tool_call>")) return std::nullopt;
  return closed(invokes_at(cursor, "", types), cursor, "</minimax:tool_call>");
}

}  // namespace hotset
