// TagParser: output in which tags part reasoning (<think>) and calls of tools (<tool_call>) from content.
#pragma once

#include <string>
#include <vector>

#include "runtime/text/output_parser.h"

namespace hotset {

class TagParser final : public OutputParser {
 public:
  TagParser(const OutputSyntax& syntax, std::string_view prompt, ToolTypes types);

 protected:
  void take(std::string_view text) override;
  void end() override;

 private:
  enum class State { kContent, kReasoning, kBlock };

  bool step();
  void pass_mark(size_t index);
  void begin_block(const ToolMarks& marks);
  bool begin_bare_calls();
  void give_up_bare_calls();
  bool step_block();
  void close_block(std::string_view block);
  void end_block();
  void emit(std::string_view text);

  const OutputSyntax syntax_;
  const ToolTypes types_;
  std::vector<std::string_view> content_marks_;    // the opens of syntax_.tools, what is dropped, the open of reasoning
  std::vector<std::string_view> reasoning_marks_;  // its close
  State state_ = State::kContent;
  std::string held_;         // text not decided on: the begin of a mark, or a block from its open on
  std::string blanks_;       // white space that ends the text so far: dropped if a mark follows
  bool bare_calls_failed_ = false;  // what content begins with is no call
  bool after_mark_ = false;  // white space is dropped until other text comes
  const ToolMarks* block_ = nullptr;
  size_t searched_ = 0;      // bytes of held_ in which the block's close does not begin
};

}  // namespace hotset
