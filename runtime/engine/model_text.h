// ModelText: the text side of a model file: its tokenizer and its chat template.
// Immutable after open(); any thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/engine.h"
#include "runtime/format/gguf.h"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"

namespace hotset {

class ModelText {
 public:
  // A chat template that cannot be parsed is an error of apply_chat_template, not of open. Errors: no or a bad vocabulary.
  static Result<std::unique_ptr<ModelText>> open(const GgufFile& file);

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  bool has_chat_template() const { return has_template_; }
  Result<std::string> apply_chat_template(std::span<const ChatMessage> messages, bool add_generation_prompt) const;
  Result<std::string> apply_chat_template(std::string_view messages, std::string_view tools, std::string_view variables) const;
  std::unique_ptr<OutputParser> create_output_parser(std::string_view prompt, std::string_view tools) const;

 private:
  ModelText() = default;
  void parse_template(const GgufFile& file);
  Status check_template() const;

  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<ChatTemplate> template_;
  OutputSyntax output_syntax_;  // as the template names it
  Status template_status_;  // why there is no template_ although the file has one
  bool has_template_ = false;
};

}  // namespace hotset
