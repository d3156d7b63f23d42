// A model for chats that is none: a token is a byte, an answer is what the test said it is.
#pragma once

#include <string>
#include <vector>

#include "runtime/app/chat.h"
#include "runtime/text/output_parser.h"

namespace hotset::test {

class FakeChatModel : public ChatModel {
 public:
  explicit FakeChatModel(uint32_t context_tokens, const std::string& marks = {})
      : context_tokens_(context_tokens), syntax_(detect_output_syntax(marks)) {}

  std::string next_answer;           // what generate() writes, one byte a token
  std::string timeline;              // everything fed and not rewound
  std::vector<std::string> prompts;  // what each generate() was given to feed

  uint32_t context_tokens() const override { return context_tokens_; }
  // "u:hello;a:" and so on: the first letter of the role, then the content.
  std::string prompt(std::span<const api::message> messages) const override {
    std::string text;
    for (const api::message& message : messages) text += message.role.substr(0, 1) + ":" + message.content + ";";
    return text + "a:";
  }
  std::vector<hotset_token> tokens(const std::string& prompt) const override { return {prompt.begin(), prompt.end()}; }
  uint32_t position() const override { return static_cast<uint32_t>(timeline.size()); }
  void rewind(uint32_t position) override { timeline.resize(position); }

  hotset_stop_reason generate(const std::string& prompt, std::span<const hotset_token> rest, uint32_t max_tokens, const PartSink& sink) override {
    prompts.emplace_back(rest.begin(), rest.end());
    if (timeline.size() + rest.size() > context_tokens_) throw api::error(HOTSET_INVALID_ARGUMENT, "context full");
    timeline += prompts.back();
    const auto parser = OutputParser::create(syntax_, prompt);
    const auto stop = write(*parser, max_tokens, sink);
    give(parser->finish(), sink);
    return stop;
  }

 private:
  hotset_stop_reason write(OutputParser& parser, uint32_t max_tokens, const PartSink& sink) {
    uint32_t count = 0;
    for (const char c : next_answer) {
      if (max_tokens != 0 && count++ == max_tokens) return HOTSET_STOP_LENGTH;
      timeline += c;
      if (!give(parser.push(std::string_view(&c, 1)), sink)) return HOTSET_STOP_REQUESTED;
    }
    return HOTSET_STOP_END_OF_TEXT;
  }
  static bool give(const ModelOutput& news, const PartSink& sink) {
    const bool thought = news.reasoning.empty() || sink(HOTSET_REASONING, news.reasoning);
    return (news.content.empty() || sink(HOTSET_CONTENT, news.content)) && thought;
  }

  const uint32_t context_tokens_;
  const OutputSyntax syntax_;
};

}  // namespace hotset::test
