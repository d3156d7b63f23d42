#include "runtime/engine/explain.h"

#include <cstdarg>
#include <cstdio>

#include "platform/bytes.h"

namespace hotset {
namespace {

[[gnu::format(printf, 1, 2)]] std::string line(const char* format, ...) {
  char text[256];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return std::string(text) + "\n";
}

std::string size(uint64_t bytes) { return format_bytes(bytes); }
double gigabytes(double bytes_per_s) { return bytes_per_s * 1e-9; }

const char* why(MissMode mode, bool uses_cache, bool on_cpu, bool unified) {
  if (on_cpu) return "the CPU runs everything out of RAM";
  switch (mode) {
    case MissMode::kWait: return "copied to a slot first: the link is fast beside the CPU, or nothing else is possible";
    case MissMode::kInPlace: return unified ? "read in place: RAM is as near as VRAM here" : "read in place over the bus: dearer per byte, but no stop";
    case MissMode::kCpu:
      if (!uses_cache) return "all run by the CPU, which is faster than this device out of VRAM";
      return "run by the CPU while the GPU does the others: the bus is slower";
  }
  return "";
}

std::string tier_lines(const LoadedModel& loaded, const SessionStats& stats) {
  const MemoryPlan& plan = loaded.plan();
  const HostTier& host = loaded.tiers().host();
  const bool on_cpu = loaded.memory().of_host();
  std::string text = line("device   %s", loaded.backend().name().c_str());
  text += line("%s %s: dense weights %s, KV cache %s, activations %s, %s in %llu expert slots", on_cpu ? "RAM     " : "VRAM    ",
               size(stats.vram_used_bytes).c_str(), size(plan.dense_bytes).c_str(), size(plan.kv_bytes).c_str(), size(plan.workspace_bytes).c_str(),
               size(stats.cache_bytes).c_str(), static_cast<unsigned long long>(stats.cache_slots));
  if (!host.holds_anything()) return text + line("experts  all in VRAM; RAM keeps none");
  return text + line("experts  %s in RAM%s", size(host.size_bytes()).c_str(), host.holds_all() ? ", all of them" : "; the others are read from disk");
}

std::string rate_lines(const LinkRates& rates) {
  if (rates.device_bytes_per_s == 0) return "";
  return line("links    VRAM %.1f, host memory in place %.1f, copies %.1f, CPU kernels %.1f, RAM %.1f GB/s; a stop %.0f us, a kernel %.1f us",
              gigabytes(rates.device_bytes_per_s), gigabytes(rates.in_place_bytes_per_s), gigabytes(rates.copy_bytes_per_s),
              gigabytes(rates.cpu_bytes_per_s), gigabytes(rates.ram_bytes_per_s), static_cast<double>(rates.stop_ns) * 1e-3,
              static_cast<double>(rates.operation_ns) * 1e-3);
}

}  // namespace

std::string explain_plan(const LoadedModel& loaded, const SessionStats& stats) {
  const ExpertTiers& tiers = loaded.tiers();
  std::string text = tier_lines(loaded, stats);
  if (tiers.host().holds_anything()) {
    const MissMode mode = tiers.residency().serving().decode;
    const char* reason = why(mode, tiers.miss_plan().use_cache, loaded.memory().of_host(), tiers.rates().unified);
    text += line("misses   %s: %s", std::string(miss_mode_name(mode)).c_str(), reason);
  }
  text += rate_lines(tiers.rates());
  const TokenEstimate estimate = tiers.estimate(stats);
  if (estimate.total_ns > 0) {
    text += line("expected %.1f tok/s, limited by %s (%s hit rate%s)", estimate.tokens_per_s(), std::string(estimate.limit).c_str(),
                 stats.decode_lookups > 0 ? "measured" : "assumed",
                 tiers.tried() ? ", held against tokens that were timed" : "");
  }
  return text;
}

}  // namespace hotset
