// The C functions that say what a session did: figures, guesses, history.
#include "runtime/api/calls.h"

namespace {

using namespace hotset;

void add_experts(const SessionStats& from, hotset_stats& stats) {
  stats.decode_lookups = from.decode_lookups;
  stats.decode_hits = from.decode_hits;
  stats.expert_lookups = from.expert_lookups;
  stats.expert_hits = from.expert_hits;
  stats.experts_in_place = from.experts_in_place;
  stats.experts_on_cpu = from.experts_on_cpu;
  stats.promotions = from.promotions;
  stats.ram_lookups = from.ram_lookups;
  stats.ram_hits = from.ram_hits;
  stats.prefetch_reads = from.prefetch.reads;
  stats.prefetch_useful = from.prefetch.useful;
  stats.prefetch_late = from.prefetch.late;
  stats.prefetch_wasted = from.prefetch.wasted;
  stats.prefetch_bytes = from.prefetch.bytes;
  stats.prefetch_active = from.prefetch.active;
}

void add_memory(const SessionStats& from, hotset_stats& stats) {
  stats.vram_used_bytes = from.vram_used_bytes;
  stats.vram_peak_bytes = from.vram_peak_bytes;
  stats.vram_budget_bytes = from.vram_budget_bytes;
  stats.ram_used_bytes = from.ram_used_bytes;
  stats.ram_peak_bytes = from.ram_peak_bytes;
  stats.cache_slots = from.cache_slots;
  stats.cache_bytes = from.cache_bytes;
}

void add_times(const SessionStats& from, hotset_stats& stats) {
  stats.prompt_tokens = from.prompt_tokens;
  stats.prompt_ns = from.prompt_ns;
  stats.decode_tokens = from.decode_tokens;
  stats.decode_ns = from.decode_ns;
  stats.stall_ns = from.stall_ns;
  stats.stops = from.stops;
  stats.submits = from.submits;
  stats.decode_submits = from.decode_submits;
  stats.host_to_device_bytes = from.host_to_device.bytes;
  stats.host_to_device_ns = from.host_to_device.busy_ns;
  stats.disk_to_host_bytes = from.disk_to_host.bytes;
  stats.disk_to_host_ns = from.disk_to_host.busy_ns;
  stats.load_ns = from.load_ns;
}

hotset_stats stats_of(const SessionStats& from) {
  hotset_stats stats = HOTSET_STATS_INIT;
  add_experts(from, stats);
  add_memory(from, stats);
  add_times(from, stats);
  stats.estimated_token_ns = from.estimated_token_ns;
  from.limiting_link.copy(stats.limiting_link, sizeof stats.limiting_link - 1);
  stats.trace_lost_tokens = from.trace_lost_tokens;
  stats.logits_hash = from.logits_hash;
  return stats;
}

}  // namespace

extern "C" {

hotset_code hotset_session_get_stats(hotset_session* session, hotset_stats* stats, hotset_error* error) {
  return with_session_any_time(session, error, [&](OpenSession& open) { return fill(stats_of(open.session->stats()), stats, "stats"); });
}

hotset_code hotset_session_get_guesses(hotset_session* session, hotset_guesses* layers, size_t capacity, size_t* count, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    const std::vector<GuessStats> guesses = open.session->stats().prefetch.layers;
    if (count) *count = guesses.size();
    if (capacity < guesses.size()) return hotset::error(kTooSmall, "there is room for %zu layers, and there are %zu", capacity, guesses.size());
    if (layers == nullptr && !guesses.empty()) return no_argument("layers");
    std::transform(guesses.begin(), guesses.end(), layers, [](const GuessStats& of) { return hotset_guesses{of.guessed, of.right, of.chosen}; });
    return ok_status();
  });
}

hotset_code hotset_session_get_history(hotset_session* session, hotset_history* history, hotset_error* error) {
  return with_session(session, error, [&](OpenSession& open) -> Status {
    const RunHistory& from = open.session->history();
    open.stretches.clear();
    for (const RunStretch& of : from.stretches()) {
      open.stretches.push_back({of.tokens, of.ns, of.lookups, of.hits, of.host_to_device_bytes, of.disk_to_host_bytes});
    }
    const auto& stretches = open.stretches;
    return fill({0, from.layers(), from.experts(), from.top_k(), from.uses().data(), stretches.data(), stretches.size()}, history, "history");
  });
}

}  // extern "C"
