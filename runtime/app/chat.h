// Chat: a conversation on one session, each answer streamed, the model's own template around the messages.
#pragma once

#include <string>

#include "runtime/app/console.h"
#include "runtime/app/interrupt.h"
#include "runtime/engine/engine.h"

namespace hotset {

// How many ids both lists begin with.
uint32_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b);

// Keeps the messages and what of them lies on the session's timeline. Main thread.
class Chat {
 public:
  // `system` may be empty. `max_tokens` 0: until the answer ends by itself.
  Chat(const Engine& engine, Session& session, const std::string& system, uint32_t max_tokens);

  // Adds the user's message and streams the answer, which is remembered also when it was cut short; reasoning is shown before
  // it and not remembered. When the context is full the oldest messages are forgotten. Error: no usable template, or one
  // message that does not fit the context.
  Result<StopReason> answer(const std::string& message, const TextSink& sink);

 private:
  // The conversation so far as the model reads it.
  struct Prompt {
    std::string text;
    std::vector<TokenId> ids;
  };
  Result<Prompt> encode() const;
  // Forgets the oldest exchanges until the tokens leave room for an answer.
  Result<Prompt> fitting_prompt();
  Result<StopReason> generate(OutputParser& parser, const TextSink& sink);

  const Engine& engine_;
  Session& session_;
  const uint32_t max_tokens_;
  const size_t kept_messages_;  // the system message is never forgotten
  std::vector<ChatMessage> messages_;
  std::vector<TokenId> prompt_;  // the last prompt, which is the start of the timeline; the answer's ids follow it
};

// Reads messages from the terminal until Ctrl-D or a Ctrl-C at the prompt.
Status chat_on_terminal(Chat& chat, Session& session, Console& console, Interrupt& interrupt);

}  // namespace hotset
