// Engine: one model opened under a VRAM budget. Session: one timeline of tokens on it.
//
// This is what hotset.h, the interface for programs, is made of.
//
// An Engine is made once and may be used by any thread for the calls marked const. A Session belongs to one thread at a
// time; Session::request_stop alone may be called from anywhere, also from a signal handler. Sessions of one
// engine share its expert cache and take turns on it, a token or a chunk of a prompt each; each has its own context, for which the VRAM
// budget must have room. The engine outlives its sessions. Nothing here throws, prints or exits; errors are a Status with one line that says what to do.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/bytes.h"
#include "platform/status.h"
#include "platform/vulkan/device_report.h"
#include "runtime/engine/run_history.h"
#include "runtime/text/output_parser.h"
#include "runtime/text/sampler.h"
#include "runtime/text/token.h"

namespace hotset {

struct CallerDevice;
struct Seams;

enum class KvType { kF16, kF32 };

// How an expert that VRAM does not hold is served: read by the GPU in host memory, run by the CPU, or copied to VRAM first. kAuto: what
// was measured to be the fastest here.
enum class MissChoice { kAuto, kGpu, kCpu, kWait };
// What a trace holds.
enum class TraceContent { kRouting, kRoutingAndLinks };
// Where guesses for reading experts ahead come from. kAuto: the router where experts come from disk.
enum class PrefetchChoice { kAuto, kOff, kRouter, kHistory };
// What the GPU does first when other programs have work for it too.
enum class GpuPriority { kNormal, kLow };

// How far a load is. `total_bytes` is the size of all weights.
struct LoadProgress {
  uint64_t done_bytes = 0;
  uint64_t total_bytes = 0;
};

// What an engine is opened with. The option table (option_table.h) states each field's flag, help and default.
struct EngineOptions {
  std::string model_path;             // a .gguf, or the first part of a split one
  std::string device = "auto";        // "auto", "cpu", "vulkan", an index of list_devices(), or part of a device's name
  std::optional<ByteSize> vram;       // hard budget for all device memory; unset: 90 % of what is free
  std::optional<ByteSize> ram;        // hard budget for experts in RAM; unset: all of them, or most of what is free
  uint32_t context_tokens = 0;        // 0: the model's own context length, at most 4096
  uint32_t batch_tokens = 512;        // most prompt tokens per pass
  uint32_t threads = 0;               // host threads; 0: one per core
  std::string policy = "auto";        // eviction policy of the expert cache: "auto" or one of policy_names()
  MissChoice miss = MissChoice::kAuto;
  PrefetchChoice prefetch = PrefetchChoice::kAuto;
  std::string hot_set_path;           // experts to begin with, and where they are kept at close; empty: none
  std::string pack_path;              // a file of `hotset pack`; empty: experts are read from the model's own
  KvType kv_type = KvType::kF16;      // element type of the KV cache
  bool block_sparse = false;          // attention of MiniMax-M3 sees only the blocks that its indexer chooses
  float slice_ms = 0;                 // most device time of a submit; 0: no bound
  GpuPriority gpu_priority = GpuPriority::kNormal;  // of a device that the engine makes itself
  bool validation = false;            // open the device under the Vulkan validation layer
  std::function<bool(const LoadProgress&)> on_progress;  // false cancels the load
  const CallerDevice* caller_device = nullptr;  // runs on this device of the caller's (platform/vulkan/caller_device.h); read while opening
  const Seams* seams = nullptr;       // for tests: platform/seams.h
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

// Every Vulkan device of the machine. Error: no loader, no driver.
Result<std::vector<DeviceReport>> list_devices();

// A model file as `hotset inspect` shows it.
struct MetadataLine {
  std::string key;
  std::string type;
  std::string value;  // arrays are shortened
};
struct TensorLine {
  std::string name;
  std::string type;
  std::vector<uint64_t> shape;  // innermost first
  uint64_t size_bytes = 0;
  uint64_t file_offset_bytes = 0;
  uint32_t part = 0;  // which file of a split model
};
struct BudgetLine {
  uint64_t vram_bytes = 0;
  double expert_share = 0;  // of all experts that fit the cache, 0..1
};
struct ModelReport {
  std::string path;
  std::string architecture;
  std::string name;
  uint64_t file_bytes = 0;
  uint64_t parameter_count = 0;
  uint32_t layers = 0;
  uint32_t moe_layers = 0;
  uint32_t experts = 0;       // per MoE layer
  uint32_t experts_used = 0;  // top-k
  uint64_t expert_bytes_min = 0;
  uint64_t expert_bytes_max = 0;
  uint64_t all_expert_bytes = 0;
  uint64_t dense_bytes = 0;
  uint64_t workspace_bytes = 0;     // activations, at the least batch
  uint64_t kv_bytes_per_token = 0;  // of context, f16
  uint64_t state_bytes = 0;         // of recurrent layers, whatever the context
  uint32_t context_tokens = 0;
  uint32_t vocab_size = 0;
  bool runnable = false;
  std::string why_not;
  uint64_t least_slot_bytes = 0;       // the smallest expert cache in VRAM
  uint64_t least_vram_bytes = 0;       // smallest budget that runs, at the default context and batch
  std::vector<BudgetLine> budgets;     // what fits at which budget
  std::vector<MetadataLine> metadata;
  std::vector<TensorLine> tensors;
};
Result<ModelReport> inspect_model(const std::string& path);

// Bytes and time of one link over a session's life.
struct LinkStats {
  uint64_t bytes = 0;
  uint64_t busy_ns = 0;  // time in which at least one transfer was under way
};

// Guesses of a layer's experts before it chose them.
struct GuessStats {
  uint64_t guessed = 0;
  uint64_t right = 0;
  uint64_t chosen = 0;  // by layers that had a guess
};

// Reads ahead from disk: what guesses led to.
struct PrefetchStats {
  bool active = false;     // still reading ahead; else guesses were found not to pay, or there is no disk tier
  uint64_t reads = 0;      // experts whose reading began before they were chosen
  uint64_t useful = 0;     // of these, in RAM when first chosen
  uint64_t late = 0;       // chosen while their read was under way
  uint64_t wasted = 0;     // gone without having been chosen
  uint64_t bytes = 0;      // of all these reads
  std::vector<GuessStats> layers;  // [MoE layers]; empty without guesses
};

struct SessionStats {
  uint64_t prompt_tokens = 0;
  uint64_t prompt_ns = 0;
  uint64_t decode_tokens = 0;
  uint64_t decode_ns = 0;
  uint64_t expert_lookups = 0;  // (token, layer, expert) in decode; (chunk, layer, distinct expert) in prefill
  uint64_t expert_hits = 0;
  uint64_t decode_lookups = 0;  // the decode share of the two above
  uint64_t decode_hits = 0;
  uint64_t stall_ns = 0;        // time in which the token waited for an expert's bytes
  uint64_t experts_in_place = 0;  // decode uses that the GPU served out of host memory
  uint64_t experts_on_cpu = 0;    // decode uses that the CPU ran beside the GPU
  uint64_t promotions = 0;        // experts moved to VRAM in the background
  uint64_t stops = 0;             // times a decode token waited for the host
  LinkStats host_to_device;
  LinkStats disk_to_host;         // what experts that arrived took; zero where RAM holds all
  uint64_t ram_lookups = 0;       // experts asked of the RAM tier where it does not hold all
  uint64_t ram_hits = 0;
  PrefetchStats prefetch;
  double estimated_token_ns = 0;  // what the link model says of a decode token as measured so far; 0: no rates
  std::string limiting_link;      // and what it says takes most of it
  uint64_t trace_lost_tokens = 0;  // that the trace's disk had no room for
  uint64_t submits = 0;         // queue submits
  uint64_t decode_submits = 0;
  uint64_t vram_used_bytes = 0;
  uint64_t vram_peak_bytes = 0;  // never above vram_budget_bytes
  uint64_t vram_budget_bytes = 0;
  uint64_t ram_used_bytes = 0;   // the expert arena
  uint64_t ram_peak_bytes = 0;   // of the process
  uint64_t cache_slots = 0;
  uint64_t cache_bytes = 0;
  uint64_t load_ns = 0;          // opening the engine
  uint64_t logits_hash = 0;      // FNV-1a in four lanes over the 32-bit words of every position's logits that were read
};

class Engine;

enum class StopReason { kLength, kEndOfText, kContextFull, kRequested };

// Receives text as whole UTF-8 characters; false ends the generation.
using TextSink = std::function<bool(std::string_view text)>;
// Receives the logits of one position: float [vocab].
using LogitsSink = std::function<void(uint32_t position, std::span<const float> logits)>;

// Changes logits [vocab] before a token is picked from them.
using LogitsFilter = std::function<void(std::span<float> logits)>;

inline Status no_token_left() {
  return error(Code::kInvalidArgument, "the logits function leaves no token to pick: all are -infinity or NaN");
}

// What a layer of experts chose for a decoded token.
struct LayerRouting {
  uint32_t position = 0;
  uint32_t layer = 0;                 // among those with experts
  std::span<const uint16_t> experts;  // [top-k], the best first
  std::span<const uint8_t> in_vram;   // [top-k]: 1 where VRAM held it already; on the CPU, RAM
};
using RoutingSink = std::function<void(const LayerRouting&)>;

// What an embedding is made of: the last token's state, or the mean over all that were given.
enum class Pooling { kLast, kMean };

class Session {
 public:
  virtual ~Session() = default;

  // Appends tokens to the timeline: several as batched prefill, one as a decode step. With a sink, the logits of every
  // position are handed over in order. Errors: a token outside the vocabulary, context full, device lost, stop requested.
  virtual Status feed(std::span<const TokenId> tokens, const LogitsSink& sink = {}) = 0;

  // Appends tokens as feed() does, and gives the state that the output matrix makes logits of, after its norm: float
  // [Engine::embedding_size()]. Errors: as feed(); no tokens.
  virtual Result<std::vector<float>> embed(std::span<const TokenId>, Pooling) { return no_state(); }

  // Logits after the last fed token, [vocab]; empty before the first. Valid until the next call.
  virtual std::span<const float> logits() const = 0;

  // Picks from logits(); feeds nothing. kNoToken: the filter left none.
  virtual TokenId sample() = 0;
  // Error: an option outside what it can be.
  virtual Status set_sampler(const SamplerOptions& options) = 0;

  // Sees and may change the logits of every sample(), on a copy: for bias and grammars. An empty one ends it.
  virtual void set_logits_filter(LogitsFilter filter) = 0;

  // Feeds `prompt`, then samples and feeds until the end of text, `max_tokens` (0: until the context is full),
  // the sink's no, or request_stop(). What was generated stays on the timeline.
  virtual Result<StopReason> generate(std::span<const TokenId> prompt, uint32_t max_tokens, const TextSink& sink) = 0;

  // Whether generate() hands on special tokens as well, as an OutputParser wants them. At first it does not.
  virtual void show_special(bool shown) = 0;

  // Drops all tokens from `position` on; 0 starts anew. The expert cache stays as it is.
  virtual void rewind(uint32_t position) = 0;
  virtual uint32_t position() const = 0;

  // The timeline: [position()], valid until the next call.
  virtual std::span<const TokenId> tokens() const { return {}; }

  // The timeline as bytes: what was fed, all that the model keeps of it, the last logits, and the sampler with its options. A session that
  // loads them goes on as this one would: with the same options on the same device bit for bit, on another within rounding. They are bound to the
  // model and the KV type; a context that is shorter than the timeline is refused. Filters, traces and figures are not part of it.
  virtual Result<uint64_t> state_bytes() { return no_state(); }
  // A file is there whole or not at all; a buffer has state_bytes(). Errors: what stands in the way of writing; the device's.
  virtual Status save_state(const std::string&) { return no_state(); }
  virtual Status save_state(std::span<std::byte>) { return no_state(); }
  // In place of this timeline and its sampler. Errors: kCorrupt; kInvalidArgument, of another model, KV type or layout, or too long for the
  // context; kUnsupported, of a newer build. With these the session stays as it was; where the device or the disk fails midway it is empty.
  virtual Status load_state(const std::string&) { return no_state(); }
  virtual Status load_state(std::span<const std::byte>) { return no_state(); }
  // Another session that goes on from here by itself; without the filter and the trace. Error: as Engine::create_session.
  virtual Result<std::unique_ptr<Session>> fork() { return no_state(); }

  // Makes a running feed or generate end soon. Safe in a signal handler.
  virtual void request_stop() = 0;
  // Forgets an earlier request_stop().
  virtual void clear_stop() = 0;

  virtual SessionStats stats() const = 0;

  // Writes the experts that each token from here on chooses to `path` (format: MOETRACE 1), in place of what is there, and with
  // kRoutingAndLinks when each expert crossed which link; an empty path ends it. A disk that fills up ends the file, not the run, and
  // what is lost is counted in the stats. Error: the file cannot be written.
  virtual Status trace_to(const std::string& path, TraceContent content) = 0;
  // Is told of every token that is fed by itself from here on, layer by layer, when it is done; an empty one ends it.
  virtual void set_routing_sink(RoutingSink) {}
  // Which experts the decoded tokens used, and how hits and links went over time.
  virtual const RunHistory& history() const = 0;

  // What goes where and why, how misses are served, the tokens a second that are expected of it and the link that limits them;
  // several lines.
  virtual std::string explain() const = 0;

 private:
  static Status no_state() { return error(Code::kUnsupported, "this session has no state"); }
};

class Engine {
 public:
  // Opens the model on a device. Errors: what is wrong with the file, the device, or the budget (and the least that works).
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  // The tokenizer and the chat template alone, without a device: no weights, no context, and kUnsupported where one is needed.
  static Result<std::unique_ptr<Engine>> open_text(const std::string& model_path);
  virtual ~Engine() = default;

  // Any thread. Error: kOverBudget, the VRAM budget has no room for the context of another session.
  virtual Result<std::unique_ptr<Session>> create_session() = 0;

  // Changes a budget while a session runs: between two of its tokens, or chunks of a prompt; any thread. Less memory evicts experts and
  // gives it back, more is filled as experts are used; tokens do not change. Errors: kOverBudget with the least that works,
  // kUnsupported where that tier is not used or must hold everything.
  virtual Status set_vram_budget(uint64_t budget_bytes) = 0;
  virtual Status set_ram_budget(uint64_t budget_bytes) = 0;
  // Under memory pressure: gives back at least so much VRAM now, or as much as can be missed, and lowers the budget by it. What came free.
  // Error: kUnsupported on the CPU.
  virtual Result<uint64_t> give_vram_back(uint64_t bytes) = 0;

  // Writes which experts have been worth most so far, for EngineOptions::hot_set_path of a later engine. Errors: nothing was decoded yet,
  // or the model has no experts; the file cannot be written.
  virtual Status save_hot_set(const std::string&) { return error(Code::kUnsupported, "this engine has no hot set"); }

  virtual uint32_t vocab_size() const = 0;
  virtual uint32_t embedding_size() const { return 0; }
  virtual uint32_t context_tokens() const = 0;
  virtual const std::string& device_name() const = 0;
  virtual const std::string& model_name() const = 0;
  virtual uint64_t load_ns() const = 0;

  // Text to ids. `parse_special` recognises special tokens in the text; `add_special` adds the beginning token where the
  // model wants one. Error: text that is not valid UTF-8.
  virtual Result<std::vector<TokenId>> tokenize(std::string_view text, bool add_special, bool parse_special) const = 0;
  // Ids to bytes; special tokens are shown when `show_special`. Error: an id outside the vocabulary.
  virtual Result<std::string> detokenize(std::span<const TokenId> ids, bool show_special) const = 0;
  virtual bool is_end_of_generation(TokenId id) const = 0;

  // The messages through the model's own chat template, ready to tokenise with parse_special. Error: no template, or
  // one that this build cannot render.
  virtual Result<std::string> apply_chat_template(std::span<const ChatMessage> messages, bool add_generation_prompt) const = 0;
  // The same for whatever the template knows, as JSON: `messages` is an array of objects ("role", "content", "tool_calls"...), `tools` an
  // array and `variables` an object ("enable_thinking": false), both empty where there are none. add_generation_prompt is true unless
  // a variable says otherwise. Errors: as above; text that is not such JSON.
  virtual Result<std::string> apply_chat_template_json(std::string_view, std::string_view, std::string_view) const {
    return error(Code::kUnsupported, "this engine renders no JSON");
  }
  virtual bool has_chat_template() const = 0;
  // Takes apart what the model writes after `prompt`, which apply_chat_template gave, by the marks of the model's template.
  // `tools`: the tools that were offered, as a JSON array; without any, nothing is taken for a call.
  virtual std::unique_ptr<OutputParser> create_output_parser(std::string_view prompt, std::string_view tools = {}) const {
    return OutputParser::create({}, prompt, tools);
  }
};

// The model that ships with the program, from the source tree or the installed prefix. Error: not found, and where it
// was looked for.
Result<std::string> shipped_model_path();

}  // namespace hotset
