// Chat: a conversation on one session, each answer streamed, the model's own template around the messages.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include <hotset/hotset.hpp>

#include "platform/status.h"
#include "runtime/app/console.h"
#include "runtime/app/interrupt.h"

namespace hotset {

// How many ids both lists begin with.
uint32_t common_prefix(std::span<const hotset_token> a, std::span<const hotset_token> b);

// What a chat asks of a model and its timeline. Errors are exceptions (api::error).
class ChatModel {
 public:
  // A piece of an answer; false ends it.
  using PartSink = std::function<bool(hotset_part part, std::string_view text)>;

  virtual ~ChatModel() = default;
  virtual uint32_t context_tokens() const = 0;
  // The messages through the template, up to where the answer begins.
  virtual std::string prompt(std::span<const api::message> messages) const = 0;
  virtual std::vector<hotset_token> tokens(const std::string& prompt) const = 0;
  // What lies on the timeline before the chat begins.
  virtual std::vector<hotset_token> timeline() const { return {}; }
  virtual uint32_t position() const = 0;
  virtual void rewind(uint32_t position) = 0;
  // Feeds the `rest` of a prompt that is not on the timeline yet, and hands on what the model writes, taken apart.
  virtual hotset_stop_reason generate(const std::string& prompt, std::span<const hotset_token> rest, uint32_t max_tokens, const PartSink& sink) = 0;
};

// The one that the library runs. Both outlive it.
class SessionChatModel final : public ChatModel {
 public:
  // `prefill_only`: prompts are fed, and nothing is written.
  SessionChatModel(const api::engine& engine, api::session& session, bool prefill_only = false);

  uint32_t context_tokens() const override { return context_tokens_; }
  std::string prompt(std::span<const api::message> messages) const override { return engine_.apply_chat_template(messages); }
  std::vector<hotset_token> tokens(const std::string& prompt) const override;
  std::vector<hotset_token> timeline() const override { return session_.tokens(); }
  uint32_t position() const override { return session_.position(); }
  void rewind(uint32_t position) override { session_.rewind(position); }
  hotset_stop_reason generate(const std::string& prompt, std::span<const hotset_token> rest, uint32_t max_tokens, const PartSink& sink) override;

 private:
  const api::engine& engine_;
  api::session& session_;
  const uint32_t context_tokens_;
  const bool prefill_only_;
};

// Keeps the messages and what of them lies on the session's timeline. Main thread.
class Chat {
 public:
  using TextSink = std::function<bool(std::string_view text)>;  // false ends the answer

  // `system` may be empty. `max_tokens` 0: until the answer ends by itself.
  Chat(ChatModel& model, const std::string& system, uint32_t max_tokens);

  // Adds the user's message and streams the answer, which is remembered also when it was cut short; reasoning is shown before
  // it and not remembered. When the context is full the oldest messages are forgotten. Throws: no usable template, or one
  // message that does not fit the context.
  hotset_stop_reason answer(const std::string& message, const TextSink& sink);

 private:
  // The conversation so far as the model reads it.
  struct Prompt {
    std::string text;
    std::vector<hotset_token> ids;
  };
  // What came of an answer so far.
  struct Answer {
    std::string reasoning;
    std::string content;
  };
  // Forgets the oldest exchanges until the tokens leave room for an answer.
  Prompt fitting_prompt();
  hotset_stop_reason generate(Answer& answer, const TextSink& sink);

  ChatModel& model_;
  const uint32_t max_tokens_;
  const size_t kept_messages_;  // the system message is never forgotten
  std::vector<api::message> messages_;
  std::vector<hotset_token> prompt_;  // the last prompt, which is the start of the timeline; the answer's ids follow it
};

// Reads messages from the terminal until Ctrl-D or a Ctrl-C at the prompt. Throws what an answer does.
Status chat_on_terminal(Chat& chat, api::session& session, Console& console, Interrupt& interrupt);

}  // namespace hotset
