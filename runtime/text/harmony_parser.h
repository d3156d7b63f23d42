// HarmonyParser: gpt-oss's output, messages on channels: analysis is reasoning, final and commentary are content, and what is
// addressed to a function is a call of it.
#pragma once

#include <string>

#include "runtime/text/output_parser.h"

namespace hotset {

class HarmonyParser final : public OutputParser {
 public:
  explicit HarmonyParser(std::string_view prompt);

 protected:
  void take(std::string_view text) override;
  void end() override;

 private:
  // Between messages; in a message's header (from its mark to <|message|>); in its body.
  enum class State { kBetween, kHeader, kBody };
  enum class Body { kReasoning, kContent, kCall };

  bool step();
  bool step_header();
  bool step_text();
  void read_header(std::string_view header);
  void close_call();
  void emit(std::string_view text);

  State state_ = State::kBetween;
  Body body_ = Body::kContent;
  std::string held_;       // text not decided on
  std::string header_;     // of the message that is read, as it came
  std::string recipient_;  // of a call
  std::string arguments_;  // of a call, so far
};

}  // namespace hotset
