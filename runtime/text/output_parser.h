// OutputParser: takes a model's output apart while it is generated: reasoning, content, calls of tools.
//
// How the text is cut into pieces makes no difference. A beginning of a mark is held back until it is one or is not; a call is
// handed on when it is whole. What is marked as a call and cannot be read becomes content, marks included, so no text is
// lost; only white space beside marks is dropped. Special tokens must be in the text. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runtime/text/model_output.h"
#include "runtime/text/output_syntax.h"

namespace hotset {

class OutputParser {
 public:
  // `prompt`: what the output continues; its end says whether reasoning has begun. `tools`: the tools offered, as JSON
  // (ToolTypes), or nothing.
  static std::unique_ptr<OutputParser> create(const OutputSyntax& syntax, std::string_view prompt, std::string_view tools = {});
  virtual ~OutputParser() = default;
  OutputParser(const OutputParser&) = delete;
  OutputParser& operator=(const OutputParser&) = delete;

  // What `text` completes.
  ModelOutput push(std::string_view text);
  // What was held back, when the output has ended. Nothing may be pushed afterwards.
  ModelOutput finish();

  // All so far.
  const ModelOutput& output() const { return all_; }

 protected:
  OutputParser() = default;
  virtual void take(std::string_view text) = 0;
  virtual void end() = 0;

  void add_reasoning(std::string_view text);
  void add_content(std::string_view text);
  void add_call(ToolCall call);

 private:
  ModelOutput all_;
  ModelOutput news_;  // since the last push
};

// How many bytes at the end of `text` may begin one of `marks`.
size_t begun_mark_bytes(std::string_view text, const std::vector<std::string_view>& marks);

struct FoundMark {
  size_t place = std::string_view::npos;
  size_t index = 0;  // of the mark
};
// The first of `marks` in `text`; of several at one place the longest.
FoundMark find_mark(std::string_view text, const std::vector<std::string_view>& marks);

}  // namespace hotset
