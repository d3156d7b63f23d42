// Notations of calls that are JSON objects.
#include <algorithm>

#include "runtime/text/call_builder.h"
#include "runtime/text/json_text.h"
#include "runtime/text/text_cursor.h"

namespace hotset {

namespace {

constexpr std::string_view kMistralMark = "[TOOL_CALLS]";

// What stands between the tags of a block, which need not be closed. In what stands there alone no tag ends.
std::string_view between_tags(std::string_view block) {
  if (!block.starts_with('<')) return trimmed(block);
  block = trimmed(block.substr(std::min(block.find('>'), block.size() - 1) + 1));
  if (block.ends_with('>')) block = block.substr(0, block.rfind('<'));
  return trimmed(block);
}

// A list at the cursor, taken whole.
bool take_list(TextCursor& cursor, std::vector<ToolCall>& calls) {
  const std::string_view list = cursor.rest().substr(0, json_extent(cursor.rest()));
  const auto items = json_items(list);
  if (!items) return false;
  for (const std::string_view item : *items) {
    auto call = call_of_json(item);
    if (!call) return false;
    calls.push_back(std::move(*call));
  }
  cursor.skip(list.size());
  return true;
}

bool take_object(TextCursor& cursor, std::vector<ToolCall>& calls) {
  const std::string_view object = cursor.rest().substr(0, json_extent(cursor.rest()));
  auto call = call_of_json(object);
  if (!call) return false;
  calls.push_back(std::move(*call));
  cursor.skip(object.size());
  return true;
}

// f[CALL_ID]id[ARGS]{...}, behind Mistral's mark.
bool take_mistral_call(TextCursor& cursor, std::vector<ToolCall>& calls) {
  ToolCall call;
  call.name = trimmed(cursor.rest().substr(0, cursor.rest().find_first_of("[{")));
  if (!is_tool_name(call.name)) return false;
  cursor.skip(cursor.rest().find_first_of("[{"));
  if (cursor.take("[CALL_ID]")) {
    const auto id = cursor.until("[ARGS]");
    if (!id) return false;
    call.id = trimmed(*id);
  } else {
    cursor.take("[ARGS]");
  }
  cursor.skip_blanks();
  call.arguments = cursor.rest().substr(0, json_extent(cursor.rest()));
  if (!is_json_object(call.arguments)) return false;
  cursor.skip(call.arguments.size());
  calls.push_back(std::move(call));
  return true;
}

// Hunyuan: <tool_call>f, then its arguments as fenced JSON, </tool_call>.
bool take_fenced_call(TextCursor& cursor, std::vector<ToolCall>& calls) {
  const auto name = cursor.until("```json");
  const auto arguments = cursor.until("```");
  cursor.skip_blanks();
  if (!name || !arguments || !cursor.take("</tool_call>") || !is_tool_name(trimmed(*name)) || !is_json_object(*arguments)) return false;
  calls.push_back({"", std::string(trimmed(*name)), std::string(trimmed(*arguments))});
  return true;
}

ToolCalls if_any(std::vector<ToolCall> calls) { return calls.empty() ? ToolCalls() : ToolCalls(std::move(calls)); }

}  // namespace

ToolCalls parse_json_calls(std::string_view block, const ToolTypes&) {
  TextCursor cursor(between_tags(block));
  std::vector<ToolCall> calls;
  if (cursor.next() == '[') {
    if (!take_list(cursor, calls) || !cursor.at_end()) return std::nullopt;
    return if_any(std::move(calls));
  }
  while (!cursor.at_end()) {
    if (!take_object(cursor, calls)) return std::nullopt;
    cursor.take_all_of("; \t\r\n");
  }
  return if_any(std::move(calls));
}

ToolCalls parse_hunyuan_calls(std::string_view block, const ToolTypes& types) {
  if (auto calls = parse_json_calls(block, types)) return calls;
  TextCursor cursor(between_tags(block));
  std::vector<ToolCall> calls;
  for (cursor.skip_blanks(); cursor.take("<tool_call>"); cursor.skip_blanks()) {
    if (!take_fenced_call(cursor, calls)) return std::nullopt;
  }
  return cursor.at_end() ? if_any(std::move(calls)) : std::nullopt;
}

ToolCalls parse_mistral_calls(std::string_view block, const ToolTypes&) {
  TextCursor cursor(block);
  std::vector<ToolCall> calls;
  for (cursor.skip_blanks(); cursor.take(kMistralMark); cursor.skip_blanks()) {
    cursor.skip_blanks();
    if (!(cursor.next() == '[' ? take_list(cursor, calls) : take_mistral_call(cursor, calls))) return std::nullopt;
  }
  return cursor.at_end() ? if_any(std::move(calls)) : std::nullopt;
}

bool may_begin_json_call(std::string_view text) {
  TextCursor cursor(text);
  if (!cursor.take("{")) return text.empty();
  cursor.skip_blanks();
  for (const std::string_view member : {"\"name\"", "\"type\"", "\"id\""}) {
    if (cursor.rest().starts_with(member) || member.starts_with(cursor.rest())) return true;
  }
  return false;
}

}  // namespace hotset
