#include "runtime/text/output_syntax.h"

namespace hotset {

namespace {

struct ReasoningMarks {
  std::string_view open;
  std::string_view close;
};

constexpr ReasoningMarks kReasoning[] = {
    {"<think>", "</think>"},
    {"<seed:think>", "</seed:think>"},
    {"\u25C1think\u25B7", "\u25C1/think\u25B7"},
    {"[THINK]", "[/THINK]"},
    {"<|channel>thought\n", "<channel|>"},
};

// Marks, and what of them a template must contain.
struct KnownTools {
  std::string_view hint;
  ToolMarks marks;
};

constexpr KnownTools kTools[] = {
    {"<tool_call>", {"<tool_call>", "</tool_call>", parse_tool_call_tag}},
    {"<function=", {"<function=", "</function>", parse_function_tag}},
    {"<｜tool▁calls▁begin｜>", {"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", parse_deepseek_calls}},
    {"｜DSML｜", {"<｜DSML｜function_calls>", "</｜DSML｜function_calls>", parse_dsml_calls}},
    {"｜DSML｜", {"<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>", parse_dsml_calls}},
    {"<|tool_calls_section_begin|>", {"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", parse_kimi_calls}},
    {"<minimax:tool_call>", {"<minimax:tool_call>", "</minimax:tool_call>", parse_minimax_calls}},
};

}  // namespace

OutputSyntax detect_output_syntax(std::string_view chat_template) {
  const auto has = [&](std::string_view text) { return chat_template.find(text) != std::string_view::npos; };
  OutputSyntax syntax;
  syntax.is_harmony = has("<|channel|>") && has("<|message|>") && has("<|start|>");
  for (const ReasoningMarks& marks : kReasoning) {
    if (!syntax.reasoning_open.empty() || !has(marks.close)) continue;
    syntax.reasoning_open = marks.open;
    syntax.reasoning_close = marks.close;
  }
  for (const KnownTools& known : kTools) {
    if (has(known.hint)) syntax.tools.push_back(known.marks);
  }
  return syntax;
}

}  // namespace hotset
