// OutputSyntax: by which marks a family of models parts reasoning, content and calls of tools.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/text/tool_notation.h"

namespace hotset {

// A block of calls: text from `open` to `close`, or to the end of the output where that is empty.
struct ToolMarks {
  std::string_view open;  // of one byte where may_begin is given
  std::string_view close;
  ToolNotation parse;
  // Calls in no mark: they count where content begins with `open`, for as long as the text may become one.
  bool (*may_begin)(std::string_view text) = nullptr;
};

struct OutputSyntax {
  // gpt-oss: messages on channels (cookbook.openai.com/articles/openai-harmony). Nothing else counts then.
  bool is_harmony = false;
  std::string_view reasoning_open;  // empty: the family does not mark reasoning
  std::string_view reasoning_close;
  std::vector<ToolMarks> tools;
  std::vector<std::string_view> dropped;  // marks within content that part nothing
};

// The syntax that a model's chat template names in its text. Without any mark, all output is content.
OutputSyntax detect_output_syntax(std::string_view chat_template);

}  // namespace hotset
