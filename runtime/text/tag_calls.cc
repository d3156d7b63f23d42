// Notations of calls whose arguments are tags of their own: Kimi K3's and MiniMax-M3's.
#include <algorithm>

#include "runtime/text/call_builder.h"
#include "runtime/text/json_text.h"
#include "runtime/text/text_cursor.h"

namespace hotset {

namespace {

constexpr std::string_view kMinimaxMark = "]<]minimax[>[";
constexpr int kMaxDepth = 32;

// The value of an attribute, which stands at the cursor as ` name="value"`.
std::optional<std::string> take_attribute(TextCursor& cursor, const std::string& name) {
  cursor.skip_blanks();
  if (!cursor.take(name + "=\"")) return std::nullopt;
  const auto text = cursor.until("\"");
  if (!text) return std::nullopt;
  std::string value(*text);
  for (const auto& [escape, meaning] : {std::pair("&quot;", '"'), std::pair("&amp;", '&')}) {
    const std::string_view wanted = escape;
    for (size_t at = value.find(wanted); at != std::string::npos; at = value.find(wanted, at + 1)) value.replace(at, wanted.size(), 1, meaning);
  }
  return value;
}

// One argument of Kimi K3, behind its <|open|>argument.
bool take_kimi3_argument(TextCursor& cursor, CallBuilder& call) {
  const auto key = take_attribute(cursor, "key");
  const auto type = take_attribute(cursor, "type");
  if (!key || !type || !cursor.take("<|sep|>")) return false;
  const auto value = cursor.until("<|close|>argument<|sep|>");
  if (!value || (*type != "string" && !is_json(*value))) return false;
  call.add_json(*key, *type == "string" ? json_quoted(*value) : std::string(trimmed(*value)));
  return true;
}

// One call of Kimi K3, behind its <|open|>call.
std::optional<ToolCall> take_kimi3_call(TextCursor& cursor, const ToolTypes& types) {
  const auto name = take_attribute(cursor, "tool");
  const auto attributes = cursor.until("<|sep|>");
  if (!name || !attributes || !is_tool_name(*name)) return std::nullopt;
  CallBuilder call(*name, types);
  for (cursor.skip_blanks(); cursor.take("<|open|>argument"); cursor.skip_blanks()) {
    if (!take_kimi3_argument(cursor, call)) return std::nullopt;
  }
  ToolCall built = call.take();
  if (cursor.take("<|open|>json type=\"object\"<|sep|>")) {
    const auto arguments = cursor.until("<|close|>json<|sep|>");
    if (!arguments || !is_json_object(*arguments)) return std::nullopt;
    built.arguments = trimmed(*arguments);
    cursor.skip_blanks();
  }
  return cursor.take("<|close|>call<|sep|>") ? std::optional(std::move(built)) : std::nullopt;
}

// Elements of MiniMax-M3 by name.
using Elements = std::vector<std::pair<std::string, std::string>>;

// What stands in <name>, up to and with </name>: JSON of its elements, or its text as `of_text` has it.
template <class OfText>
std::optional<std::string> take_element(TextCursor& cursor, std::string_view name, int depth, OfText of_text);

// Elements up to the mark of a closing tag.
std::optional<Elements> take_elements(TextCursor& cursor, int depth) {
  Elements elements;
  const auto plain = [](std::string_view text) { return is_json(text) ? std::string(trimmed(text)) : json_quoted(text); };
  const std::string open = std::string(kMinimaxMark) + "<";
  for (cursor.skip_blanks(); cursor.rest().starts_with(open) && !cursor.rest().starts_with(open + "/"); cursor.skip_blanks()) {
    cursor.skip(open.size());
    const auto name = cursor.until(">");
    if (!name || !is_parameter_name(*name)) return std::nullopt;
    auto value = take_element(cursor, *name, depth + 1, plain);
    if (!value) return std::nullopt;
    elements.emplace_back(*name, std::move(*value));
  }
  return elements;
}

std::string json_of(const Elements& elements) {
  const bool is_list = std::all_of(elements.begin(), elements.end(), [](const auto& element) { return element.first == "item"; });
  std::string out = is_list ? "[" : "{";
  for (const auto& [name, value] : elements) {
    if (out.size() > 1) out += ", ";
    out += is_list ? value : json_quoted(name) + ": " + value;
  }
  return out + (is_list ? "]" : "}");
}

template <class OfText>
std::optional<std::string> take_element(TextCursor& cursor, std::string_view name, int depth, OfText of_text) {
  if (depth > kMaxDepth) return std::nullopt;
  const std::string close = std::string(kMinimaxMark) + "</" + std::string(name) + ">";
  const size_t end = cursor.rest().find(kMinimaxMark);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view text = cursor.rest().substr(0, end);
  if (cursor.rest().substr(end).starts_with(close)) {
    cursor.skip(end + close.size());
    return of_text(text);
  }
  const auto elements = take_elements(cursor, depth);
  if (!elements || elements->empty() || !cursor.take(close)) return std::nullopt;
  return json_of(*elements);
}

// One call of MiniMax-M3, behind its <invoke name=".
std::optional<ToolCall> take_minimax3_call(TextCursor& cursor, const ToolTypes& types) {
  const auto name = cursor.until("\">");
  if (!name || !is_tool_name(*name)) return std::nullopt;
  CallBuilder call(*name, types);
  const std::string mark(kMinimaxMark);
  for (cursor.skip_blanks(); !cursor.take(mark + "</invoke>"); cursor.skip_blanks()) {
    if (!cursor.take(mark + "<")) return std::nullopt;
    const auto parameter = cursor.until(">");
    if (!parameter || !is_parameter_name(*parameter)) return std::nullopt;
    const auto typed = [&](std::string_view text) { return types.to_json(std::string(*name), std::string(*parameter), text); };
    const auto value = take_element(cursor, *parameter, 0, typed);
    if (!value) return std::nullopt;
    call.add_json(*parameter, *value);
  }
  return call.take();
}

}  // namespace

ToolCalls parse_kimi3_calls(std::string_view block, const ToolTypes& types) {
  TextCursor cursor(block);
  if (!cursor.take("<|open|>tools<|sep|>")) return std::nullopt;
  std::vector<ToolCall> calls;
  for (cursor.skip_blanks(); cursor.take("<|open|>call"); cursor.skip_blanks()) {
    auto call = take_kimi3_call(cursor, types);
    if (!call) return std::nullopt;
    calls.push_back(std::move(*call));
  }
  cursor.take("<|close|>tools<|sep|>");
  if (calls.empty() || !cursor.at_end()) return std::nullopt;
  return calls;
}

ToolCalls parse_minimax3_calls(std::string_view block, const ToolTypes& types) {
  TextCursor cursor(block);
  const std::string mark(kMinimaxMark);
  if (!cursor.take(mark + "<tool_call>")) return std::nullopt;
  std::vector<ToolCall> calls;
  for (cursor.skip_blanks(); cursor.take(mark + "<invoke name=\""); cursor.skip_blanks()) {
    auto call = take_minimax3_call(cursor, types);
    if (!call) return std::nullopt;
    calls.push_back(std::move(*call));
  }
  cursor.take(mark + "</tool_call>");
  if (calls.empty() || !cursor.at_end()) return std::nullopt;
  return calls;
}

}  // namespace hotset
