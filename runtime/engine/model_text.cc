#include "runtime/engine/model_text.h"

#include "runtime/text/vocabulary.h"

namespace hotset {
namespace {

constexpr const char* kTemplateKey = "tokenizer.chat_template";

std::string text_of(const Tokenizer& tokenizer, TokenId id) { return id == kNoToken ? std::string() : std::string(tokenizer.piece(id)); }

}  // namespace

Result<std::unique_ptr<ModelText>> ModelText::open(const GgufFile& file) {
  std::unique_ptr<ModelText> text(new ModelText());
  HOTSET_ASSIGN(Vocabulary vocabulary, read_vocabulary(file));
  HOTSET_ASSIGN(text->tokenizer_, Tokenizer::create(std::move(vocabulary)));
  text->parse_template(file);
  return text;
}

void ModelText::parse_template(const GgufFile& file) {
  has_template_ = file.find(kTemplateKey) != nullptr;
  if (!has_template_) return;
  const auto source = file.get_string(kTemplateKey);
  if (!source.ok()) {
    template_status_ = source.status();
    return;
  }
  output_syntax_ = detect_output_syntax(*source);
  auto parsed = ChatTemplate::parse(*source, text_of(*tokenizer_, tokenizer_->bos()), text_of(*tokenizer_, tokenizer_->eos()));
  if (parsed.ok()) template_ = std::move(parsed).value();
  else template_status_ = parsed.status();
}

Status ModelText::check_template() const {
  if (!has_template_) return error(Code::kUnsupported, "the model has no chat template: give a plain prompt with -p");
  return template_ ? ok_status() : template_status_.with_context("the model's chat template cannot be used");
}

Result<std::string> ModelText::apply_chat_template(std::string_view messages, std::string_view tools, std::string_view variables) const {
  HOTSET_RETURN_IF_ERROR(check_template());
  return template_->render_json(messages, tools, variables);
}

Result<std::string> ModelText::apply_chat_template(std::span<const ChatMessage> messages, bool add_generation_prompt) const {
  HOTSET_RETURN_IF_ERROR(check_template());
  std::vector<ChatTurn> turns;
  for (const ChatMessage& message : messages) turns.push_back({message.role, message.content});
  return template_->render(turns, add_generation_prompt);
}

std::unique_ptr<OutputParser> ModelText::create_output_parser(std::string_view prompt, std::string_view tools) const {
  OutputSyntax syntax = output_syntax_;
  if (tools.empty()) syntax.tools.clear();
  return OutputParser::create(syntax, prompt, tools);
}

}  // namespace hotset
