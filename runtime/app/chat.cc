#include "runtime/app/chat.h"

#include <algorithm>

#include "runtime/app/line_editor.h"

namespace hotset {
namespace {

// An answer gets at least this share of the context.
constexpr uint32_t kAnswerShare = 4;

}  // namespace

uint32_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  const auto [end, unused] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<uint32_t>(end - a.begin());
}

Chat::Chat(const Engine& engine, Session& session, const std::string& system, uint32_t max_tokens)
    : engine_(engine), session_(session), max_tokens_(max_tokens), kept_messages_(system.empty() ? 0 : 1) {
  if (!system.empty()) messages_.push_back({"system", system});
  session_.show_special(true);  // they are marks of the parser
}

Result<Chat::Prompt> Chat::encode() const {
  Prompt prompt;
  HOTSET_ASSIGN(prompt.text, engine_.apply_chat_template(messages_, true));
  HOTSET_ASSIGN(prompt.ids, engine_.tokenize(prompt.text, true, true));
  return prompt;
}

Result<Chat::Prompt> Chat::fitting_prompt() {
  const uint32_t room = engine_.context_tokens() - engine_.context_tokens() / kAnswerShare;
  while (true) {
    HOTSET_ASSIGN(auto prompt, encode());
    // The last message is the one to answer; before it lie whole exchanges of two.
    if (prompt.ids.size() <= room || messages_.size() < kept_messages_ + 3) return prompt;
    const auto first = messages_.begin() + static_cast<std::ptrdiff_t>(kept_messages_);
    messages_.erase(first, first + 2);
  }
}

Result<StopReason> Chat::answer(const std::string& message, const TextSink& sink) {
  messages_.push_back({"user", message});
  auto prompt = fitting_prompt();
  if (!prompt.ok()) {
    messages_.pop_back();
    return prompt.status();
  }
  // What the timeline already holds of this prompt stays. The last token is always fed, since its logits are wanted.
  const uint32_t kept = std::min(common_prefix(prompt_, prompt->ids), static_cast<uint32_t>(prompt->ids.size()) - 1);
  session_.rewind(std::min(kept, session_.position()));
  prompt_ = prompt->ids;
  const auto parser = engine_.create_output_parser(prompt->text);
  auto stop = generate(*parser, sink);
  if (!stop.ok() && parser->output().empty()) messages_.pop_back();
  else messages_.push_back({"assistant", parser->output().content});
  return stop;
}

Result<StopReason> Chat::generate(OutputParser& parser, const TextSink& sink) {
  const auto show = [&](const ModelOutput& news) {
    // Reasoning that has just ended stands apart from the answer.
    const bool content_begins = !news.content.empty() && news.content.size() == parser.output().content.size();
    const bool parts = content_begins && !parser.output().reasoning.empty();
    const std::string text = news.reasoning + (parts ? "\n\n" : "") + news.content;
    return text.empty() || sink(text);
  };
  auto stop = session_.generate(std::span(prompt_).subspan(session_.position()), max_tokens_,
                                [&](std::string_view text) { return show(parser.push(text)); });
  show(parser.finish());
  return stop;
}

Status chat_on_terminal(Chat& chat, Session& session, Console& console, Interrupt& interrupt) {
  LineEditor editor("> ");
  while (true) {
    interrupt.forget();
    const auto line = editor.read_line();
    if (!line || interrupt.pressed()) break;
    if (line->find_first_not_of(" \t") == std::string::npos) continue;
    session.clear_stop();
    interrupt.watch(&session);
    const auto stop = chat.answer(*line, [&](std::string_view text) { return console.write(text); });
    interrupt.watch(nullptr);
    console.write("\n");
    if (!stop.ok() && !interrupt.pressed()) return stop.status();
    HOTSET_RETURN_IF_ERROR(console.output_status());
  }
  console.write("\n");
  return ok_status();
}

}  // namespace hotset
