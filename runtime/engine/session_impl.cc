#include "runtime/engine/session_impl.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "platform/clock.h"
#include "platform/host_memory.h"
#include "platform/log.h"
#include "runtime/engine/explain.h"
#include "runtime/engine/no_throw.h"
#include "runtime/text/stream_decoder.h"

namespace hotset {
namespace {

// FNV-1a, 64 bits (Fowler, Noll, Vo: offset basis and prime of draft-eastlake-fnv).
constexpr uint64_t kFnvBasis = 0xcbf29ce484222325ull;
constexpr uint64_t kFnvPrime = 0x100000001b3ull;

constexpr uint64_t kBudgetLooks = 32;  // decode tokens between two looks at what the driver has

}  // namespace

class SessionImpl::Turn {
 public:
  explicit Turn(SessionImpl& session) : session_(session), guard_(session.loaded_.lock()), start_(EngineCounts::of(session.loaded_)) {
    session_.turn_start_ = &start_;
  }
  ~Turn() {
    session_.counts_.add(start_, EngineCounts::of(session_.loaded_));
    session_.turn_start_ = nullptr;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  SessionImpl& session_;
  const std::lock_guard<std::recursive_mutex> guard_;
  const EngineCounts start_;
};

SessionImpl::SessionImpl(LoadedModel& loaded, const ModelText& text, uint64_t load_ns) : loaded_(loaded), text_(text), load_ns_(load_ns) {
  stats_.logits_hash = kFnvBasis;
  const ModelSpec& spec = loaded.spec();
  history_ = RunHistory(static_cast<uint32_t>(spec.moes.size()), spec.config.experts, spec.config.experts_used);
  sampler_ = std::make_unique<Sampler>(SamplerOptions{}, loaded.spec().vocab);
}

Result<std::unique_ptr<Session>> SessionImpl::create(LoadedModel& loaded, const ModelText& text, uint64_t load_ns) {
  HOTSET_ASSIGN(auto session, make(loaded, text, load_ns));
  return std::unique_ptr<Session>(std::move(session));
}

Result<std::unique_ptr<SessionImpl>> SessionImpl::make(LoadedModel& loaded, const ModelText& text, uint64_t load_ns) {
  std::unique_ptr<SessionImpl> session(new SessionImpl(loaded, text, load_ns));
  const Turn turn(*session);
  HOTSET_ASSIGN(session->workspace_, loaded.lease_workspace());
  const Model model = loaded.model();
  HOTSET_ASSIGN(session->decode_, DecodePass::create(model, *session->workspace_));
  HOTSET_ASSIGN(session->prefill_, PrefillPass::create(model, *session->workspace_, session->stop_));
  return session;
}

SessionImpl::~SessionImpl() {
  const std::lock_guard guard(loaded_.lock());
  loaded_.backend().wait_idle();  // after an error work may still be under way
  const Status kept = without_exceptions([this] {
    end_trace();
    if (decode_ && prefill_) loaded_.judge_trial(stats());
    decode_.reset();
    prefill_.reset();
    if (workspace_) loaded_.return_workspace(workspace_);
    loaded_.backend().save_programs();
    loaded_.tiers().save_hot_set();
    return ok_status();
  });
  if (!kept.ok()) log_line(LogLevel::kWarn, "what was learned was not kept: %s", kept.message().c_str());
}

Status SessionImpl::check(std::span<const TokenId> tokens) const {
  const uint32_t context = loaded_.plan().workspace.context_tokens;
  if (tokens.size() > context - position_) {
    return error(Code::kInvalidArgument, "%zu tokens at position %u do not fit the context of %u: shorten the prompt or raise --ctx",
                 tokens.size(), position_, context);
  }
  const uint32_t vocab = loaded_.spec().vocab;
  for (const TokenId token : tokens) {
    if (token >= 0 && static_cast<uint32_t>(token) < vocab) continue;
    return error(Code::kInvalidArgument, "token %d is outside the vocabulary of %u", token, vocab);
  }
  return ok_status();
}

Status SessionImpl::feed(std::span<const TokenId> tokens, const LogitsSink& sink) {
  if (stop_ && !tokens.empty()) return error(Code::kCancelled, "stopped on request");
  return without_exceptions([&] { return feed_checked(tokens, sink); });
}

Status SessionImpl::feed_checked(std::span<const TokenId> tokens, const LogitsSink& sink, const ChunkFunction& read_hidden) {
  if (tokens.empty()) return ok_status();
  HOTSET_RETURN_IF_ERROR(check(tokens));
  HOTSET_RETURN_IF_ERROR(restore_state());
  state_is_stale_ = loaded_.spec().recurrent;  // whatever ends this midway, an exception of the sink too
  HOTSET_RETURN_IF_ERROR(tokens.size() == 1 && !read_hidden ? feed_one(tokens[0], sink) : feed_batch(tokens, sink, read_hidden));
  fed_.insert(fed_.end(), tokens.begin(), tokens.end());
  state_is_stale_ = false;
  return ok_status();
}

Status SessionImpl::restore_state() {
  if (!state_is_stale_) return ok_status();
  for (size_t done = 0, size = 0; done < fed_.size(); done += size) {
    size = std::min<size_t>(prefill_->chunk_tokens(), fed_.size() - done);
    const auto chunk = std::span<const TokenId>(fed_).subspan(done, size);
    const Turn turn(*this);
    HOTSET_RETURN_IF_ERROR(prefill_->run(chunk, static_cast<uint32_t>(done), false, {}));
  }
  state_is_stale_ = false;
  return ok_status();
}

Status SessionImpl::feed_one(TokenId token, const LogitsSink& sink) {
  const Turn turn(*this);
  if (stats_.decode_tokens % kBudgetLooks == 0) loaded_.follow_driver_budget();
  const uint64_t start_ns = now_ns();
  const uint64_t submits = loaded_.backend().submit_count();
  has_logits_ = false;
  HOTSET_RETURN_IF_ERROR(decode_->run(static_cast<uint32_t>(token), position_));
  const uint64_t token_ns = now_ns() - start_ns;
  stats_.decode_ns += token_ns;
  stats_.decode_submits += loaded_.backend().submit_count() - submits;
  ++stats_.decode_tokens;
  note_history(token_ns);
  trace_decode();
  if (routing_sink_) tell_routing();
  has_logits_ = true;
  hash_logits(first_logits());
  sampler_->accept(token);
  if (sink) sink(position_, first_logits());
  ++position_;
  return ok_status();
}

// After an error the timeline stays where it was: what earlier chunks wrote behind it is never read.
Status SessionImpl::feed_chunk(std::span<const TokenId> chunk, uint32_t position, bool last, const PrefillPass::LogitsFunction& each,
                               const ChunkFunction& read_hidden) {
  const Turn turn(*this);
  HOTSET_RETURN_IF_ERROR(read_hidden ? prefill_->run_hidden(chunk, position, last) : prefill_->run(chunk, position, last, each));
  trace_prompt(position, chunk.size());
  return read_hidden ? read_hidden(chunk.size()) : ok_status();
}

Status SessionImpl::feed_batch(std::span<const TokenId> tokens, const LogitsSink& sink, const ChunkFunction& read_hidden) {
  PrefillPass::LogitsFunction each;
  if (sink) {
    each = [&](uint32_t position, std::span<const float> logits) {
      hash_logits(logits);
      sink(position, logits);
    };
  }
  const uint64_t start_ns = now_ns();
  has_logits_ = false;
  size_t done = 0;
  while (done < tokens.size()) {
    const auto chunk = tokens.subspan(done, std::min<size_t>(prefill_->chunk_tokens(), tokens.size() - done));
    HOTSET_RETURN_IF_ERROR(feed_chunk(chunk, position_ + static_cast<uint32_t>(done), done + chunk.size() == tokens.size(), each, read_hidden));
    done += chunk.size();
  }
  position_ += static_cast<uint32_t>(done);
  stats_.prompt_ns += now_ns() - start_ns;
  stats_.prompt_tokens += tokens.size();
  for (const TokenId token : tokens) sampler_->accept(token);
  has_logits_ = true;
  if (!sink) hash_logits(first_logits());
  return ok_status();
}

std::span<const float> SessionImpl::first_logits() const {
  return workspace_->host<float>(workspace_->logits).subspan(0, loaded_.spec().vocab);
}

std::span<const float> SessionImpl::logits() const { return has_logits_ ? first_logits() : std::span<const float>(); }

void SessionImpl::hash_logits(std::span<const float> logits) {
  // Four interleaved lanes: one alone would wait for its multiplication at every value.
  std::array<uint64_t, 4> lanes;
  lanes.fill(stats_.logits_hash);
  for (size_t i = 0; i < logits.size(); ++i) lanes[i % 4] = (lanes[i % 4] ^ std::bit_cast<uint32_t>(logits[i])) * kFnvPrime;
  for (const uint64_t lane : lanes) stats_.logits_hash = (stats_.logits_hash ^ lane) * kFnvPrime;
}

TokenId SessionImpl::sample() {
  if (!has_logits_) return 0;
  const std::span<const float> logits = first_logits();
  if (!filter_) return sampler_->sample(logits);
  filtered_.assign(logits.begin(), logits.end());
  filter_(filtered_);
  const bool any = std::ranges::any_of(filtered_, [](float logit) { return logit > -std::numeric_limits<float>::infinity(); });
  return any ? sampler_->sample(filtered_) : kNoToken;
}

Status SessionImpl::set_sampler(const SamplerOptions& options) {
  HOTSET_RETURN_IF_ERROR(check_sampler_options(options));
  return without_exceptions([&] {
    sampler_ = std::make_unique<Sampler>(options, loaded_.spec().vocab);
    sampler_->restart(fed_);
    return ok_status();
  });
}

Result<StopReason> SessionImpl::generate(std::span<const TokenId> prompt, uint32_t max_tokens, const TextSink& sink) {
  return without_exceptions([&] { return generate_on(prompt, max_tokens, sink); });
}

Result<StopReason> SessionImpl::generate_on(std::span<const TokenId> prompt, uint32_t max_tokens, const TextSink& sink) {
  const Status fed = feed(prompt, {});
  if (fed.code() == Code::kCancelled) return StopReason::kRequested;
  HOTSET_RETURN_IF_ERROR(fed);
  if (!has_logits_) return error(Code::kInvalidArgument, "nothing to continue from: the prompt is empty");
  StreamDecoder text(text_.tokenizer(), show_special_);
  StopReason reason = StopReason::kLength;
  for (uint32_t count = 0; max_tokens == 0 || count < max_tokens; ++count) {
    const TokenId token = stop_ ? 0 : sample();
    if (stop_) {  // the logits function may have asked for it
      reason = StopReason::kRequested;
      break;
    }
    if (token == kNoToken) return no_token_left();
    if (text_.tokenizer().is_end_of_generation(token)) {
      reason = StopReason::kEndOfText;
      break;
    }
    const std::string_view piece = text.next(token);
    const bool wanted = piece.empty() || !sink || sink(piece);
    if (position_ >= loaded_.plan().workspace.context_tokens) {
      if (count + 1 != max_tokens) reason = wanted ? StopReason::kContextFull : StopReason::kRequested;
      break;
    }
    // Whoever goes on from here goes on after what was told: the last token is fed as well, and also when a stop was asked for meanwhile.
    HOTSET_RETURN_IF_ERROR(feed_checked({&token, 1}, {}));
    if (!wanted) {
      reason = StopReason::kRequested;
      break;
    }
  }
  const std::string_view rest = text.finish();
  if (!rest.empty() && sink) sink(rest);
  return reason;
}

void SessionImpl::end_trace() {
  if (!trace_) return;
  if (events_) {
    loaded_.tiers().residency().poll();
    trace_links();
    loaded_.tiers().residency().set_events(nullptr);
    if (events_->left_out() > 0) {
      log_line(LogLevel::kWarn, "the trace leaves out %llu transfers that came at once", static_cast<unsigned long long>(events_->left_out()));
    }
  }
  trace_->finish();
  stats_.trace_lost_tokens += trace_->lost_tokens();
  events_.reset();
  trace_.reset();
  prefill_->set_route_sink({});
}

Status SessionImpl::trace_to(const std::string& path, TraceContent content) {
  return without_exceptions([&] { return begin_trace(path, content); });
}

Status SessionImpl::begin_trace(const std::string& path, TraceContent content) {
  const std::lock_guard guard(loaded_.lock());
  end_trace();
  if (path.empty()) return ok_status();
  const ModelSpec& spec = loaded_.spec();
  if (spec.moes.empty()) return error(Code::kInvalidArgument, "there is no routing to trace: this model has no experts");
  const TraceWriter::Shape shape = {spec.config.name, static_cast<uint32_t>(spec.moes.size()), spec.config.experts, spec.config.experts_used};
  HOTSET_ASSIGN(trace_, TraceWriter::create(path, shape));
  if (content == TraceContent::kRoutingAndLinks) {
    events_ = std::make_unique<LinkEvents>();
    loaded_.tiers().residency().set_events(events_.get());
  }
  prefill_->set_route_sink([this](uint32_t layer, std::span<const uint32_t> ids) {
    if (layer == 0) routing_.clear();
    for (const uint32_t id : ids) routing_.push_back(static_cast<uint16_t>(id));
  });
  return ok_status();
}

void SessionImpl::trace_decode() {
  if (!trace_) return;
  routing_.clear();
  for (uint32_t layer = 0; layer < loaded_.spec().moes.size(); ++layer) {
    const std::span<const uint16_t> ids = decode_->chosen(layer);
    routing_.insert(routing_.end(), ids.begin(), ids.end());
  }
  trace_->token(position_, false, routing_);
  trace_links();
}

void SessionImpl::set_routing_sink(RoutingSink sink) {
  routing_sink_ = std::move(sink);
  decode_->watch_residents(static_cast<bool>(routing_sink_));
}

void SessionImpl::tell_routing() const {
  for (uint32_t layer = 0; layer < loaded_.spec().moes.size(); ++layer) {
    routing_sink_({position_, layer, decode_->chosen(layer), decode_->residents(layer)});
  }
}

void SessionImpl::trace_links() {
  if (events_) events_->drain([this](const LinkEvent& event) { trace_->link(event); });
}

// Within the turn of the token.
void SessionImpl::note_history(uint64_t token_ns) {
  using enum EngineCount;
  for (uint32_t layer = 0; layer < history_.layers(); ++layer) history_.use(layer, decode_->chosen(layer));
  EngineCounts of_token;
  of_token.add(*turn_start_, EngineCounts::of(loaded_));
  history_.token({1, token_ns, of_token[kDecodeLookups], of_token[kDecodeHits], of_token[kLinkBytes], of_token[kDiskBytes]});
}

void SessionImpl::trace_prompt(uint32_t first_position, size_t tokens) {
  if (!trace_) return;
  const size_t used = loaded_.spec().config.experts_used;
  std::vector<uint16_t> ids;
  for (size_t token = 0; token < tokens; ++token) {
    ids.clear();
    for (size_t layer = 0; layer < loaded_.spec().moes.size(); ++layer) {
      const auto first = routing_.begin() + static_cast<std::ptrdiff_t>((layer * tokens + token) * used);
      ids.insert(ids.end(), first, first + static_cast<std::ptrdiff_t>(used));
    }
    trace_->token(first_position + static_cast<uint32_t>(token), true, ids);
  }
  trace_links();
}

void SessionImpl::rewind(uint32_t position) {
  if (position >= position_) return;
  if (trace_) trace_->next_sequence();
  position_ = position;
  has_logits_ = false;
  fed_.resize(position);
  sampler_->restart(fed_);
  state_is_stale_ = loaded_.spec().recurrent && position != 0;  // at position 0 the state begins anew by itself
}

// Also within a turn, for a sink that asks.
EngineCounts SessionImpl::counts() const {
  EngineCounts counts = counts_;
  if (turn_start_) counts.add(*turn_start_, EngineCounts::of(loaded_));
  return counts;
}

void SessionImpl::add_tier_stats(const EngineCounts& counts, SessionStats& stats) const {
  using enum EngineCount;
  stats.experts_in_place = counts[kInPlace];
  stats.experts_on_cpu = counts[kOnHost];
  stats.promotions = counts[kPromotions];
  stats.stops = decode_->stops();
  stats.disk_to_host = {counts[kDiskBytes], counts[kDiskBusyNs]};
  if (!loaded_.tiers().host().holds_all()) {
    stats.ram_hits = counts[kRamHits];
    stats.ram_lookups = stats.ram_hits + counts[kRamMisses];
  }
  const TokenEstimate estimate = loaded_.tiers().estimate(stats);
  stats.estimated_token_ns = estimate.total_ns;
  stats.limiting_link = estimate.limit;
  const Prefetch* prefetch = loaded_.tiers().prefetch();
  if (!prefetch) return;
  stats.prefetch.active = prefetch->in_use();
  stats.prefetch.reads = counts[kHinted];
  stats.prefetch.useful = counts[kHintUseful];
  stats.prefetch.late = counts[kHintLate];
  stats.prefetch.wasted = counts[kHintWasted];
  for (const PrefetchLayerStats& layer : prefetch->layers()) stats.prefetch.layers.push_back({layer.guessed, layer.right, layer.chosen});
}

SessionStats SessionImpl::stats() const {
  using enum EngineCount;
  const std::lock_guard guard(loaded_.lock());
  SessionStats stats = stats_;
  const EngineCounts counts = this->counts();
  stats.expert_lookups = counts[kLookups];
  stats.expert_hits = counts[kHits];
  stats.decode_lookups = counts[kDecodeLookups];
  stats.decode_hits = counts[kDecodeHits];
  stats.stall_ns = decode_->stall_ns() + prefill_->stall_ns();
  stats.host_to_device = {counts[kLinkBytes], counts[kLinkBusyNs]};
  add_tier_stats(counts, stats);
  if (trace_) stats.trace_lost_tokens += trace_->lost_tokens();
  stats.submits = counts[kSubmits];
  stats.vram_used_bytes = loaded_.memory().used_bytes();
  stats.vram_peak_bytes = loaded_.memory().peak_bytes();
  stats.vram_budget_bytes = loaded_.memory().budget_bytes();
  stats.ram_used_bytes = loaded_.tiers().host().size_bytes();
  stats.ram_peak_bytes = peak_resident_bytes();
  stats.cache_slots = loaded_.tiers().residency().stats().slots;
  stats.cache_bytes = loaded_.plan().slot_bytes;
  stats.load_ns = load_ns_;
  return stats;
}

std::string SessionImpl::explain() const {
  const std::lock_guard guard(loaded_.lock());
  return explain_plan(loaded_, stats());
}

}  // namespace hotset
