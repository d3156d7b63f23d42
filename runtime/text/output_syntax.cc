#include "runtime/text/output_syntax.h"

namespace hotset {

namespace {

// What a template must contain, and the marks that it then means.
struct ReasoningMarks {
  std::string_view hint;
  std::string_view open;
  std::string_view close;
};

constexpr ReasoningMarks kReasoning[] = {
    {"</think>", "<think>", "</think>"},
    {"</mm:think>", "<mm:think>", "</mm:think>"},
    {"</seed:think>", "<seed:think>", "</seed:think>"},
    {"\u25C1/think\u25B7", "\u25C1think\u25B7", "\u25C1/think\u25B7"},
    {"[/THINK]", "[THINK]", "[/THINK]"},
    {"<channel|>", "<|channel>thought\n", "<channel|>"},
    {"<|END_THINKING|>", "<|START_THINKING|>", "<|END_THINKING|>"},
    {"<|open|>", "<|open|>think<|sep|>", "<|close|>think<|sep|>"},  // Kimi K3's template puts its tags together
};

struct KnownTools {
  std::string_view hint;
  ToolMarks marks;
};

// In the templates of Llama 3 and 4; their calls stand in no mark.
constexpr std::string_view kLlamaHint = "{\"name\": function name, \"parameters\":";

constexpr KnownTools kTools[] = {
    {"<tool_call>", {"<tool_call>", "</tool_call>", parse_tool_call_tag}},
    {"<function=", {"<function=", "</function>", parse_function_tag}},
    {"<seed:tool_call>", {"<seed:tool_call>", "</seed:tool_call>", parse_seed_calls}},
    {"<｜tool▁calls▁begin｜>", {"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", parse_deepseek_calls}},
    {"｜DSML｜", {"<｜DSML｜function_calls>", "</｜DSML｜function_calls>", parse_dsml_calls}},
    {"｜DSML｜", {"<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>", parse_dsml_calls}},
    {"<|tool_calls_section_begin|>", {"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", parse_kimi_calls}},
    {"<|open|>", {"<|open|>tools<|sep|>", "<|close|>tools<|sep|>", parse_kimi3_calls}},
    {"<minimax:tool_call>", {"<minimax:tool_call>", "</minimax:tool_call>", parse_minimax_calls}},
    {"]<]minimax[>[", {"]<]minimax[>[<tool_call>", "]<]minimax[>[</tool_call>", parse_minimax3_calls}},
    {"<|tool_call>", {"<|tool_call>", "<tool_call|>", parse_gemma_call}},
    {"[TOOL_CALLS]", {"[TOOL_CALLS]", "", parse_mistral_calls}},
    {"<|python_tag|>", {"<|python_tag|>", "", parse_python_tag}},
    {"<|python_start|>", {"<|python_start|>", "<|python_end|>", parse_python_calls}},
    {kLlamaHint, {"{", "", parse_json_calls, may_begin_json_call}},
    {"[func_name1(", {"[", "", parse_python_calls, may_begin_python_calls}},
    {"<|python_start|>", {"[", "", parse_python_calls, may_begin_python_calls}},
    {"<|tool_call_start|>", {"<|tool_call_start|>", "<|tool_call_end|>", parse_python_calls}},
    {"<function_calls>", {"<function_calls>", "</function_calls>", parse_python_calls}},
    {"<|tool_call|>", {"<|tool_call|>", "", parse_json_calls}},
    {"<TOOLCALL>", {"<TOOLCALL>", "</TOOLCALL>", parse_json_calls}},
    {"<tool_calls>", {"<tool_calls>", "</tool_calls>", parse_hunyuan_calls}},
    {"<|START_ACTION|>", {"<|START_ACTION|>", "<|END_ACTION|>", parse_json_calls}},
};

struct KnownDropped {
  std::string_view hint;
  std::string_view mark;
};

constexpr KnownDropped kDropped[] = {
    {"<|open|>", "<|open|>response<|sep|>"},
    {"<|open|>", "<|close|>response<|sep|>"},
    {"<|open|>", "<|close|>message<|sep|>"},
    {"<|open|>", "<|end_of_msg|>"},
    {"<|START_RESPONSE|>", "<|START_RESPONSE|>"},
    {"<|START_RESPONSE|>", "<|END_RESPONSE|>"},
    {"<|START_TEXT|>", "<|START_TEXT|>"},
    {"<|START_TEXT|>", "<|END_TEXT|>"},
};

}  // namespace

OutputSyntax detect_output_syntax(std::string_view chat_template) {
  const auto has = [&](std::string_view text) { return chat_template.find(text) != std::string_view::npos; };
  OutputSyntax syntax;
  syntax.is_harmony = has("<|channel|>") && has("<|message|>") && has("<|start|>");
  for (const ReasoningMarks& marks : kReasoning) {
    if (!syntax.reasoning_open.empty() || !has(marks.hint)) continue;
    syntax.reasoning_open = marks.open;
    syntax.reasoning_close = marks.close;
  }
  for (const KnownTools& known : kTools) {
    if (has(known.hint)) syntax.tools.push_back(known.marks);
  }
  for (const KnownDropped& known : kDropped) {
    if (has(known.hint)) syntax.dropped.push_back(known.mark);
  }
  return syntax;
}

}  // namespace hotset
