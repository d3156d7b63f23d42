#include "runtime/app/chat.h"

#include <algorithm>

#include "runtime/app/line_editor.h"

namespace hotset {
namespace {

// An answer gets at least this share of the context.
constexpr uint32_t kAnswerShare = 4;

}  // namespace

uint32_t common_prefix(std::span<const hotset_token> a, std::span<const hotset_token> b) {
  const auto [end, unused] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<uint32_t>(end - a.begin());
}

SessionChatModel::SessionChatModel(const api::engine& engine, api::session& session, bool prefill_only)
    : engine_(engine), session_(session), context_tokens_(engine.info().context_tokens), prefill_only_(prefill_only) {
  session.show_special(true);  // they are marks of the parser
}

std::vector<hotset_token> SessionChatModel::tokens(const std::string& prompt) const {
  return engine_.tokenize(prompt, HOTSET_ADD_SPECIAL | HOTSET_PARSE_SPECIAL);
}

hotset_stop_reason SessionChatModel::generate(const std::string& prompt, std::span<const hotset_token> rest, uint32_t max_tokens,
                                              const PartSink& sink) {
  if (prefill_only_) {
    session_.feed(rest);
    return HOTSET_STOP_LENGTH;
  }
  api::parser parser(engine_, prompt);
  bool wanted = true;
  const auto take = [&](hotset_part part, std::string_view text) { wanted = sink(part, text) && wanted; };
  const auto stop = session_.generate(rest, max_tokens, [&](std::string_view text) {
    parser.push(text, take);
    return wanted;
  });
  parser.finish(take);
  return stop;
}

Chat::Chat(ChatModel& model, const std::string& system, uint32_t max_tokens)
    : model_(model), max_tokens_(max_tokens), kept_messages_(system.empty() ? 0 : 1), prompt_(model.timeline()) {
  if (!system.empty()) messages_.push_back({"system", system});
}

Chat::Prompt Chat::fitting_prompt() {
  const uint32_t room = model_.context_tokens() - model_.context_tokens() / kAnswerShare;
  while (true) {
    Prompt prompt;
    prompt.text = model_.prompt(messages_);
    prompt.ids = model_.tokens(prompt.text);
    // The last message is the one to answer; before it lie whole exchanges of two.
    if (prompt.ids.size() <= room || messages_.size() < kept_messages_ + 3) return prompt;
    const auto first = messages_.begin() + static_cast<std::ptrdiff_t>(kept_messages_);
    messages_.erase(first, first + 2);
  }
}

hotset_stop_reason Chat::answer(const std::string& message, const TextSink& sink) {
  messages_.push_back({"user", message});
  Answer answer;
  try {
    const auto stop = generate(answer, sink);
    messages_.push_back({"assistant", answer.content});
    return stop;
  } catch (...) {
    if (answer.reasoning.empty() && answer.content.empty()) messages_.pop_back();
    else messages_.push_back({"assistant", answer.content});
    throw;
  }
}

hotset_stop_reason Chat::generate(Answer& answer, const TextSink& sink) {
  Prompt prompt = fitting_prompt();
  // What the timeline already holds of this prompt stays. The last token is always fed, since its logits are wanted.
  const uint32_t kept = std::min(common_prefix(prompt_, prompt.ids), static_cast<uint32_t>(prompt.ids.size()) - 1);
  model_.rewind(std::min(kept, model_.position()));
  prompt_ = std::move(prompt.ids);
  return model_.generate(prompt.text, std::span(prompt_).subspan(model_.position()), max_tokens_, [&](hotset_part part, std::string_view text) {
    if (part != HOTSET_REASONING && part != HOTSET_CONTENT) return true;
    // Reasoning that has just ended stands apart from the answer.
    const bool parts = part == HOTSET_CONTENT && answer.content.empty() && !answer.reasoning.empty();
    (part == HOTSET_CONTENT ? answer.content : answer.reasoning) += text;
    return sink((parts ? "\n\n" : "") + std::string(text));
  });
}

Status chat_on_terminal(Chat& chat, api::session& session, Console& console, Interrupt& interrupt) {
  LineEditor editor("> ");
  while (true) {
    interrupt.forget();
    const auto line = editor.read_line();
    if (!line || interrupt.pressed()) break;
    if (line->find_first_not_of(" \t") == std::string::npos) continue;
    const Interrupt::Watch watch(interrupt, session);
    try {
      chat.answer(*line, [&](std::string_view text) { return console.write(text); });
    } catch (const api::error&) {
      if (!interrupt.pressed()) throw;
    }
    console.write("\n");
    HOTSET_RETURN_IF_ERROR(console.output_status());
  }
  console.write("\n");
  return ok_status();
}

}  // namespace hotset
