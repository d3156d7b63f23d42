// SessionImpl: the Session of engine.h on a LoadedModel. Sessions of one engine take turns, a token or a chunk of a prompt each, under its
// lock; each has a workspace of its own.
#pragma once

#include <atomic>
#include <memory>

#include "offload/trace_writer.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/engine_counts.h"
#include "runtime/engine/loaded_model.h"
#include "runtime/engine/model_text.h"
#include "runtime/engine/state_format.h"
#include "runtime/model/decode_pass.h"
#include "runtime/model/prefill_pass.h"
#include "runtime/text/sampler.h"

namespace hotset {

class SessionImpl final : public Session {
 public:
  static Result<std::unique_ptr<Session>> create(LoadedModel& loaded, const ModelText& text, uint64_t load_ns);
  ~SessionImpl() override;

  Status feed(std::span<const TokenId> tokens, const LogitsSink& sink) override;
  Result<std::vector<float>> embed(std::span<const TokenId> tokens, Pooling pooling) override;
  std::span<const float> logits() const override;
  TokenId sample() override;
  Status set_sampler(const SamplerOptions& options) override;
  void set_logits_filter(LogitsFilter filter) override { filter_ = std::move(filter); }
  Result<StopReason> generate(std::span<const TokenId> prompt, uint32_t max_tokens, const TextSink& sink) override;
  void show_special(bool shown) override { show_special_ = shown; }
  void rewind(uint32_t position) override;
  uint32_t position() const override { return position_; }
  std::span<const TokenId> tokens() const override { return fed_; }
  Result<uint64_t> state_bytes() override;
  Status save_state(const std::string& path) override;
  Status save_state(std::span<std::byte> out) override;
  Status load_state(const std::string& path) override;
  Status load_state(std::span<const std::byte> bytes) override;
  Result<std::unique_ptr<Session>> fork() override;
  void request_stop() override { stop_ = true; }
  void clear_stop() override { stop_ = false; }
  SessionStats stats() const override;
  Status trace_to(const std::string& path, TraceContent content) override;
  void set_routing_sink(RoutingSink sink) override;
  const RunHistory& history() const override { return history_; }
  std::string explain() const override;

 private:
  // A turn of the session on the engine: holds the lock, and what the engine counts meanwhile is the session's.
  class Turn;

  SessionImpl(LoadedModel& loaded, const ModelText& text, uint64_t load_ns);
  static Result<std::unique_ptr<SessionImpl>> make(LoadedModel& loaded, const ModelText& text, uint64_t load_ns);
  Result<StateHeader> state_header();
  Status load_from(const StateSource& source);
  // The workspace's states are those of these tokens now.
  void take_timeline(std::vector<TokenId> tokens, bool has_logits);
  EngineCounts counts() const;
  Status check(std::span<const TokenId> tokens) const;
  // Of a prompt, within the turn of each chunk of so many tokens.
  using ChunkFunction = std::function<Status(size_t tokens)>;
  Status feed_checked(std::span<const TokenId> tokens, const LogitsSink& sink, const ChunkFunction& read_hidden = {});
  Status feed_chunk(std::span<const TokenId> chunk, uint32_t position, bool last, const PrefillPass::LogitsFunction& each, const ChunkFunction& read_hidden);
  struct HiddenSum;
  Status read_hidden(size_t tokens, HiddenSum& sum);
  void tell_routing() const;
  Result<StopReason> generate_on(std::span<const TokenId> prompt, uint32_t max_tokens, const TextSink& sink);
  Status begin_trace(const std::string& path, TraceContent content);
  Status feed_batch(std::span<const TokenId> tokens, const LogitsSink& sink, const ChunkFunction& read_hidden);
  // Brings the state of a recurrent model to the first position_ tokens, after a rewind or an error.
  Status restore_state();
  Status feed_one(TokenId token, const LogitsSink& sink);
  std::span<const float> first_logits() const;
  void trace_decode();
  void trace_links();
  void end_trace();
  void note_history(uint64_t token_ns);
  void trace_prompt(uint32_t first_position, size_t tokens);
  void add_tier_stats(const EngineCounts& counts, SessionStats& stats) const;
  void hash_logits(std::span<const float> logits);

  LoadedModel& loaded_;
  const ModelText& text_;
  const uint64_t load_ns_;
  std::atomic<bool> stop_{false};
  std::unique_ptr<DecodePass> decode_;
  std::unique_ptr<PrefillPass> prefill_;
  std::unique_ptr<Sampler> sampler_;
  LogitsFilter filter_;
  std::vector<float> filtered_;  // [vocab], with a filter
  Workspace* workspace_ = nullptr;  // leased
  RoutingSink routing_sink_;
  std::unique_ptr<TraceWriter> trace_;
  std::unique_ptr<LinkEvents> events_;  // with a trace that holds them
  RunHistory history_;
  std::vector<uint16_t> routing_;  // with a trace: of the chunk under way [layers][tokens][used]
  uint32_t position_ = 0;
  std::vector<TokenId> fed_;     // [position_]; a recurrent model's state cannot be cut short, only made anew from them
  bool state_is_stale_ = false;  // the recurrent state is not that of the first position_ tokens
  bool has_logits_ = false;
  bool show_special_ = false;
  SessionStats stats_;          // what is counted here; stats() adds the rest
  EngineCounts counts_;         // of its turns that are over
  const EngineCounts* turn_start_ = nullptr;  // of the engine when the turn under way began
};

}  // namespace hotset
