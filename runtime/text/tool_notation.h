// How models write calls of tools, one function for each family of notations.
//
// Each takes a whole block, its markers included, and is strict: nullopt where anything in it is not understood, so that
// the caller can show the block as text. Pure functions; any bytes are safe.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/model_output.h"

namespace hotset {

// Which parameters of the offered tools are texts. Notations without quotes need it: is 12 a number or the text "12"?
class ToolTypes {
 public:
  ToolTypes() = default;
  // `tools`: a JSON array as chat templates get it ([{"type": "function", "function": {"name", "parameters"}}]); what
  // cannot be read is left out.
  explicit ToolTypes(std::string_view tools);

  // A value in plain text as JSON: quoted where the tool wants a text, or where it is no JSON.
  std::string to_json(const std::string& tool, const std::string& parameter, std::string_view value) const;

 private:
  void take_tool(std::string_view tool);

  std::set<std::pair<std::string, std::string>> texts_;  // (tool, parameter)
};

using ToolCalls = std::optional<std::vector<ToolCall>>;
using ToolNotation = ToolCalls (*)(std::string_view block, const ToolTypes& types);

// <tool_call>, with what Hermes and Qwen put in it ({"name": "f", "arguments": {}}), Qwen3-Coder (<function=f><parameter=p>v
// </parameter></function>) or GLM-4.5 (f <arg_key>p</arg_key><arg_value>v</arg_value>).
ToolCalls parse_tool_call_tag(std::string_view block, const ToolTypes& types);
// <function=f> without <tool_call> around it, also with a JSON object in it (Llama 3.1's own tools).
ToolCalls parse_function_tag(std::string_view block, const ToolTypes& types);
// Seed-OSS: <seed:tool_call> around <function=f>.
ToolCalls parse_seed_calls(std::string_view block, const ToolTypes& types);
// DeepSeek V3, R1 (a name and fenced JSON) and V3.1 (bare JSON), between <｜tool▁calls▁begin｜> and <｜tool▁calls▁end｜>.
ToolCalls parse_deepseek_calls(std::string_view block, const ToolTypes& types);
// DeepSeek V3.2 and V4: <｜DSML｜invoke name="f"><｜DSML｜parameter name="p" string="true">v</｜DSML｜parameter>.
ToolCalls parse_dsml_calls(std::string_view block, const ToolTypes& types);
// Kimi K2: <|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}<|tool_call_end|>.
ToolCalls parse_kimi_calls(std::string_view block, const ToolTypes& types);
// MiniMax-M2: <minimax:tool_call><invoke name="f"><parameter name="p">v</parameter></invoke>.
ToolCalls parse_minimax_calls(std::string_view block, const ToolTypes& types);
// MiniMax-M3: ]<]minimax[>[ before every tag, parameters as tags, mappings and lists (of "item"s) as tags within them.
ToolCalls parse_minimax3_calls(std::string_view block, const ToolTypes& types);
// Kimi K3: <|open|>tools<|sep|><|open|>call tool="f" index="1"<|sep|><|open|>argument key="p" type="string"<|sep|>v<|close|>argument<|sep|>...
ToolCalls parse_kimi3_calls(std::string_view block, const ToolTypes& types);
// One JSON object a call, or a list of them, between tags or alone: Llama 3 and 4 ("parameters", several parted by semicolons), Granite,
// Nemotron, Jamba, Cohere ("tool_name").
ToolCalls parse_json_calls(std::string_view block, const ToolTypes& types);
// Hunyuan: <tool_calls> with a list as above, or with <tool_call>f, its arguments as fenced JSON, </tool_call>.
ToolCalls parse_hunyuan_calls(std::string_view block, const ToolTypes& types);
// Mistral: [TOOL_CALLS] and a list as above, or f[CALL_ID]id[ARGS]{}, also without the inner marks, and [TOOL_CALLS] before each.
ToolCalls parse_mistral_calls(std::string_view block, const ToolTypes& types);
// Python's calls between tags or alone, [f(p="v", n=1), g()] with or without the brackets: Llama 4, LFM2, OLMo 3.
ToolCalls parse_python_calls(std::string_view block, const ToolTypes& types);
// Llama 3.1 after <|python_tag|>: JSON, or a built-in tool's f.call(p="v").
ToolCalls parse_python_tag(std::string_view block, const ToolTypes& types);
// Gemma 4: <|tool_call>call:f{p:<|"|>v<|"|>,n:1}<tool_call|>.
ToolCalls parse_gemma_call(std::string_view block, const ToolTypes& types);

// Calls that stand in no mark: whether `text`, up to any point, may still become what parse_json_calls or parse_python_calls takes.
// What may not, may not with more text behind it either.
bool may_begin_json_call(std::string_view text);
bool may_begin_python_calls(std::string_view text);

}  // namespace hotset
