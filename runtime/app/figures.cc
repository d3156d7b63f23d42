#include "runtime/app/figures.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "platform/bytes.h"

namespace hotset {
namespace {

double seconds(uint64_t ns) { return static_cast<double>(ns) * 1e-9; }

[[gnu::format(printf, 1, 2)]] std::string line(const char* format, ...) {
  char text[256];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return std::string(text) + "\n";
}

std::string pace_line(const char* label, uint64_t tokens, uint64_t elapsed_ns) {
  return line("%s %" PRIu64 " tokens in %.3f s, %.1f tok/s", label, tokens, seconds(elapsed_ns),
              rate_per_second(tokens, elapsed_ns));
}

// Of the tiers below VRAM, only what they did.
std::string tier_lines(const hotset_stats& stats) {
  std::string text;
  if (stats.experts_in_place + stats.experts_on_cpu + stats.promotions > 0) {
    text += line("misses   %" PRIu64 " experts read in host memory, %" PRIu64 " run by the CPU, %" PRIu64 " moved to VRAM; %" PRIu64 " stops",
                 stats.experts_in_place, stats.experts_on_cpu, stats.promotions, stats.stops);
  }
  if (stats.ram_lookups > 0) {
    text += line("disk     %.1f %% of %" PRIu64 " found in RAM; %s read in %.3f s, %.2f GB/s", hit_rate(stats.ram_hits, stats.ram_lookups) * 100,
                 stats.ram_lookups, format_bytes(stats.disk_to_host_bytes).c_str(), seconds(stats.disk_to_host_ns),
                 rate_per_second(stats.disk_to_host_bytes, stats.disk_to_host_ns) * 1e-9);
  }
  if (stats.prefetch_reads > 0) {
    text += line("ahead    %" PRIu64 " experts read ahead: %" PRIu64 " useful, %" PRIu64 " late, %" PRIu64 " wasted%s", stats.prefetch_reads,
                 stats.prefetch_useful, stats.prefetch_late, stats.prefetch_wasted, stats.prefetch_active ? "" : "; switched off, it did not pay");
  }
  return text;
}

std::string estimate_line(const hotset_stats& stats) {
  if (stats.estimated_token_ns == 0) return "";
  return line("model    %.1f tok/s expected of the links, limited by %s", 1e9 / stats.estimated_token_ns, stats.limiting_link);
}

Json prefetch_json(const hotset_stats& stats, std::span<const hotset_guesses> guesses) {
  Json layers = Json::array();
  for (const hotset_guesses& layer : guesses) {
    layers.push_back({{"guessed", layer.guessed}, {"right", layer.right}, {"chosen", layer.chosen},
                      {"recall", hit_rate(layer.right, layer.chosen)}, {"precision", hit_rate(layer.right, layer.guessed)}});
  }
  return {{"active", stats.prefetch_active != 0}, {"reads", stats.prefetch_reads}, {"useful", stats.prefetch_useful},
          {"late", stats.prefetch_late},          {"wasted", stats.prefetch_wasted}, {"layers", std::move(layers)}};
}

std::string memory_line(const hotset_stats& stats) {
  return line("memory   VRAM %s, peak %s of %s; expert cache %s in %" PRIu64 " slots; RAM %s for experts, process peak %s",
              format_bytes(stats.vram_used_bytes).c_str(), format_bytes(stats.vram_peak_bytes).c_str(),
              format_bytes(stats.vram_budget_bytes).c_str(), format_bytes(stats.cache_bytes).c_str(), stats.cache_slots,
              format_bytes(stats.ram_used_bytes).c_str(), format_bytes(stats.ram_peak_bytes).c_str());
}

Json link_json(uint64_t bytes, uint64_t busy_ns) {
  return {{"bytes", bytes}, {"busy_seconds", seconds(busy_ns)}, {"gigabytes_per_second", rate_per_second(bytes, busy_ns) * 1e-9}};
}

Json pace_json(uint64_t tokens, uint64_t elapsed_ns) {
  return {{"tokens", tokens}, {"seconds", seconds(elapsed_ns)}, {"tokens_per_second", rate_per_second(tokens, elapsed_ns)}};
}

}  // namespace

double rate_per_second(uint64_t units, uint64_t elapsed_ns) {
  return elapsed_ns == 0 ? 0 : static_cast<double>(units) / seconds(elapsed_ns);
}

double hit_rate(uint64_t hits, uint64_t lookups) {
  return lookups == 0 ? 1 : static_cast<double>(hits) / static_cast<double>(lookups);
}

std::string hash_text(uint64_t hash) {
  char text[20];
  std::snprintf(text, sizeof text, "%016" PRIx64, hash);
  return text;
}

std::string figures_text(const hotset_stats& stats) {
  return pace_line("prompt  ", stats.prompt_tokens, stats.prompt_ns) +
         pace_line("decode  ", stats.decode_tokens, stats.decode_ns) +
         line("experts  %.1f %% hits of %" PRIu64 " (decode %.1f %% of %" PRIu64 "), stalled %.3f s",
              hit_rate(stats.expert_hits, stats.expert_lookups) * 100, stats.expert_lookups,
              hit_rate(stats.decode_hits, stats.decode_lookups) * 100, stats.decode_lookups, seconds(stats.stall_ns)) +
         line("link     host to device %s in %.3f s, %.2f GB/s", format_bytes(stats.host_to_device_bytes).c_str(),
              seconds(stats.host_to_device_ns), rate_per_second(stats.host_to_device_bytes, stats.host_to_device_ns) * 1e-9) +
         tier_lines(stats) + estimate_line(stats) + memory_line(stats) + line("load     %.3f s", seconds(stats.load_ns)) +
         line("logits   %s", hash_text(stats.logits_hash).c_str());
}

std::string watch_line(const hotset_stats& stats) {
  std::string text = line("\n[%" PRIu64 " tokens, %.1f tok/s; %.1f %% hits, %" PRIu64 " stops; VRAM %s, RAM %s", stats.decode_tokens,
                          rate_per_second(stats.decode_tokens, stats.decode_ns), hit_rate(stats.decode_hits, stats.decode_lookups) * 100, stats.stops,
                          format_bytes(stats.vram_used_bytes).c_str(), format_bytes(stats.ram_used_bytes).c_str());
  text.pop_back();
  if (stats.disk_to_host_bytes > 0) {
    text += "; disk " + format_bytes(stats.disk_to_host_bytes) + line(" at %.2f GB/s", rate_per_second(stats.disk_to_host_bytes, stats.disk_to_host_ns) * 1e-9);
    text.pop_back();
  }
  return text + "]\n";
}

Json figures_json(const hotset_stats& stats, std::span<const hotset_guesses> guesses) {
  Json experts = {{"lookups", stats.expert_lookups},
                  {"hits", stats.expert_hits},
                  {"hit_rate", hit_rate(stats.expert_hits, stats.expert_lookups)},
                  {"decode_lookups", stats.decode_lookups},
                  {"decode_hits", stats.decode_hits},
                  {"decode_hit_rate", hit_rate(stats.decode_hits, stats.decode_lookups)},
                  {"in_place", stats.experts_in_place},
                  {"on_cpu", stats.experts_on_cpu},
                  {"promotions", stats.promotions},
                  {"ram_lookups", stats.ram_lookups},
                  {"ram_hits", stats.ram_hits}};
  Json memory = {{"vram_used_bytes", stats.vram_used_bytes}, {"vram_peak_bytes", stats.vram_peak_bytes},
                 {"vram_budget_bytes", stats.vram_budget_bytes}, {"cache_bytes", stats.cache_bytes},
                 {"cache_slots", stats.cache_slots}, {"ram_used_bytes", stats.ram_used_bytes},
                 {"ram_peak_bytes", stats.ram_peak_bytes}};
  return {{"prompt", pace_json(stats.prompt_tokens, stats.prompt_ns)},
          {"decode", pace_json(stats.decode_tokens, stats.decode_ns)},
          {"experts", std::move(experts)},
          {"stall_seconds", seconds(stats.stall_ns)},
          {"links",
           {{"host_to_device", link_json(stats.host_to_device_bytes, stats.host_to_device_ns)},
            {"disk_to_host", link_json(stats.disk_to_host_bytes, stats.disk_to_host_ns)}}},
          {"prefetch", prefetch_json(stats, guesses)},
          {"stops", stats.stops},
          {"memory", std::move(memory)},
          {"submits", stats.submits},
          {"decode_submits", stats.decode_submits},
          {"estimate", {{"token_seconds", stats.estimated_token_ns * 1e-9}, {"limit", stats.limiting_link}}},
          {"trace_lost_tokens", stats.trace_lost_tokens},
          {"load_seconds", seconds(stats.load_ns)},
          {"logits_hash", hash_text(stats.logits_hash)}};
}

Json figures_json(const api::session& session) { return figures_json(session.stats(), session.guesses()); }

Json history_json(const hotset_history& history) {
  Json stretches = Json::array();
  for (const hotset_stretch& of : std::span(history.stretches, history.stretch_count)) {
    stretches.push_back({{"tokens", of.tokens},
                         {"ns", of.ns},
                         {"lookups", of.lookups},
                         {"hits", of.hits},
                         {"host_to_device_bytes", of.host_to_device_bytes},
                         {"disk_to_host_bytes", of.disk_to_host_bytes}});
  }
  const size_t experts = size_t{history.layers} * history.experts;
  return {{"layers", history.layers},
          {"experts", history.experts},
          {"experts_used", history.experts_used},
          {"uses", std::vector<uint32_t>(history.uses, history.uses + experts)},
          {"stretches", std::move(stretches)}};
}

const char* stop_reason_name(hotset_stop_reason reason) {
  switch (reason) {
    case HOTSET_STOP_LENGTH: return "length";
    case HOTSET_STOP_END_OF_TEXT: return "end_of_text";
    case HOTSET_STOP_CONTEXT_FULL: return "context_full";
    case HOTSET_STOP_REQUESTED: return "requested";
    default: return "";
  }
}

}  // namespace hotset
