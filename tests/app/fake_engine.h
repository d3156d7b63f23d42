// An engine without a model: a token is a byte, an answer is what the test said it is. For the parts of the program that
// drive a session.
#pragma once

#include <string>
#include <vector>

#include "runtime/engine/engine.h"

namespace hotset::test {

class FakeSession : public Session {
 public:
  explicit FakeSession(uint32_t context_tokens) : context_tokens_(context_tokens) {}

  std::string next_answer;           // what generate() writes, one byte a token
  std::string timeline;              // everything fed and not rewound
  std::vector<std::string> prompts;  // what each generate() was given
  bool shows_special = false;

  Status feed(std::span<const TokenId> tokens, const LogitsSink&) override {
    if (timeline.size() + tokens.size() > context_tokens_) return error(Code::kInvalidArgument, "context full");
    for (const TokenId id : tokens) timeline += static_cast<char>(id);
    return ok_status();
  }
  std::span<const float> logits() const override { return {}; }
  TokenId sample() override { return 0; }
  Status set_sampler(const SamplerOptions&) override { return ok_status(); }
  void set_logits_filter(LogitsFilter) override {}

  Result<StopReason> generate(std::span<const TokenId> prompt, uint32_t max_tokens, const TextSink& sink) override {
    prompts.emplace_back(prompt.begin(), prompt.end());
    HOTSET_RETURN_IF_ERROR(feed(prompt, {}));
    uint32_t count = 0;
    for (const char c : next_answer) {
      if (max_tokens != 0 && count++ == max_tokens) return StopReason::kLength;
      timeline += c;
      if (!sink(std::string_view(&c, 1))) return StopReason::kRequested;
    }
    return StopReason::kEndOfText;
  }

  void show_special(bool shown) override { shows_special = shown; }
  void rewind(uint32_t position) override { timeline.resize(position); }
  uint32_t position() const override { return static_cast<uint32_t>(timeline.size()); }
  void request_stop() override {}
  void clear_stop() override {}
  SessionStats stats() const override { return {}; }
  Status trace_to(const std::string&, TraceContent) override { return ok_status(); }
  const RunHistory& history() const override { return history_; }
  std::string explain() const override { return {}; }

 private:
  const uint32_t context_tokens_;
  const RunHistory history_;
};

class FakeEngine : public Engine {
 public:
  explicit FakeEngine(uint32_t context_tokens) : context_tokens_(context_tokens) {}

  Result<std::unique_ptr<Session>> create_session() override {
    return std::unique_ptr<Session>(std::make_unique<FakeSession>(context_tokens_));
  }
  Status set_vram_budget(uint64_t) override { return ok_status(); }
  Status set_ram_budget(uint64_t) override { return ok_status(); }
  Result<uint64_t> give_vram_back(uint64_t) override { return uint64_t{0}; }
  uint32_t vocab_size() const override { return 256; }
  uint32_t context_tokens() const override { return context_tokens_; }
  const std::string& device_name() const override { return name_; }
  const std::string& model_name() const override { return name_; }
  uint64_t load_ns() const override { return 0; }

  Result<std::vector<TokenId>> tokenize(std::string_view text, bool, bool) const override {
    return std::vector<TokenId>(text.begin(), text.end());
  }
  Result<std::string> detokenize(std::span<const TokenId> ids, bool) const override {
    return std::string(ids.begin(), ids.end());
  }
  bool is_end_of_generation(TokenId) const override { return false; }
  // "u:hello;a:" and so on: the first letter of the role, then the content.
  Result<std::string> apply_chat_template(std::span<const ChatMessage> messages, bool add_generation_prompt) const override {
    std::string text;
    for (const ChatMessage& message : messages) text += message.role.substr(0, 1) + ":" + message.content + ";";
    return text + (add_generation_prompt ? "a:" : "");
  }
  bool has_chat_template() const override { return true; }

 private:
  const uint32_t context_tokens_;
  const std::string name_ = "fake";
};

}  // namespace hotset::test
