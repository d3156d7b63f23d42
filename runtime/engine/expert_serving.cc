// ExpertTiers: how experts that VRAM does not hold are served, and what is expected of it.
#include <algorithm>
#include <cmath>

#include "platform/log.h"
#include "platform/threads.h"
#include "runtime/engine/expert_tiers.h"
#include "runtime/engine/kernel_probe.h"
#include "runtime/model/decode_cost.h"

namespace hotset {
namespace {

// The model may be wrong about a way by so much, and no more: what it expects to take longer than this many times the best is not tried,
// unless a token costs next to nothing.
constexpr double kWorthTrying = 4;
constexpr double kCheapTokenNs = 50e6;
// A hit must save at least this share of what it costs, else moving experts to VRAM gains nothing that could be measured.
constexpr double kLeastSaving = 0.05;
// Experts that are read to time the disk: several at once, then one alone.
constexpr uint32_t kDiskExperts = 8;

}  // namespace

double ExpertTiers::vram_share() const {
  if (parts_.table.count() == 0) return 1;
  return static_cast<double>(residency_->stats().slots) / static_cast<double>(parts_.table.count());
}

double ExpertTiers::ram_share() const {
  if (host_->holds_all()) return 1;
  return static_cast<double>(host_->stats().slots) / static_cast<double>(parts_.table.count());
}

// Bytes per busy time of several experts at once, and what one alone takes beyond that. They stay in RAM.
void ExpertTiers::measure_disk() {
  const uint32_t count = std::min({kDiskExperts, host_->max_batch(), parts_.table.experts(0) - 1});
  const auto busy_ns = [&](uint32_t first, uint32_t experts) -> double {
    std::vector<ExpertId> ids;
    for (uint32_t i = 0; i < experts; ++i) ids.push_back({0, static_cast<uint16_t>(parts_.table.experts(0) - 1 - first - i)});
    const uint64_t before_ns = host_->stats().busy_ns;
    if (!host_->acquire(ids, [](size_t) { return ok_status(); }).ok()) return 0;
    host_->release(ids);
    return static_cast<double>(host_->stats().busy_ns - before_ns);
  };
  const auto record = static_cast<double>(parts_.table.record_bytes(0));
  const double many_ns = count > 0 ? busy_ns(0, count) : 0;
  if (many_ns <= 0) return;
  rates_.disk_bytes_per_s = count * record / many_ns * 1e9;
  const double one_ns = count < parts_.table.experts(0) - 1 ? busy_ns(count, 1) : 0;
  rates_.disk_ns = static_cast<uint64_t>(std::max(0.0, one_ns - record / rates_.disk_bytes_per_s * 1e9));
}

TokenWork ExpertTiers::token_work() const {
  TokenWork work;
  for (const uint64_t bytes : parts_.plan.dense_slab_bytes) work.dense_bytes += bytes;
  work.dense_bytes -= std::min(work.dense_bytes, embedding_only_bytes(parts_.spec));
  work.operations = decode_operations(parts_.spec);
  work.submits = 1;
  work.moe_layers = parts_.table.layers();
  work.top_k = largest_top_k(parts_.spec);
  work.record_bytes = parts_.table.total_bytes() / std::max<uint64_t>(parts_.table.count(), 1);
  work.vram_hit_rate = on_cpu() ? 0 : modelled_hit_rate(vram_share());
  if (!host_->holds_all()) work.ram_hit_share = modelled_ram_hit_share(vram_share(), std::min(ram_share(), 1 - vram_share()));
  return work;
}

TokenWork ExpertTiers::token_work(const SessionStats& stats) const {
  TokenWork work = token_work();
  if (!on_cpu() && stats.decode_lookups > 0) {
    work.vram_hit_rate = static_cast<double>(stats.decode_hits) / static_cast<double>(stats.decode_lookups);
  }
  set_read_ahead({stats.ram_lookups, stats.ram_hits, stats.prefetch.reads, stats.prefetch.useful, stats.prefetch.late}, work);
  return work;
}

TokenEstimate ExpertTiers::estimate(const SessionStats& stats) const {
  if (rates_.device_bytes_per_s == 0) return {};
  LinkRates rates = rates_;
  if (stats.disk_to_host.busy_ns > 0) {
    rates.disk_bytes_per_s = static_cast<double>(stats.disk_to_host.bytes) / static_cast<double>(stats.disk_to_host.busy_ns) * 1e9;
    rates.disk_ns = 0;  // it is in the time that the disk was busy
  }
  return scaled(estimate_token(rates, token_work(stats), miss_plan_), measured_share_);
}

Status ExpertTiers::serve_on_cpu() {
  rates_ = parts_.link_rates;
  if (!host_->holds_all()) measure_disk();
  return serve({MissMode::kInPlace, false, true});
}

// With sessions that were recorded without the CPU's part there is none.
MissPaths ExpertTiers::paths(bool late) const { return {true, reads_host_, !late || cpu_experts_ != nullptr, false}; }

MissPlan ExpertTiers::plan_by_choice(const MissPaths& paths) const {
  switch (parts_.options.miss) {
    case MissChoice::kAuto: break;
    case MissChoice::kGpu: return {paths.in_place ? MissMode::kInPlace : MissMode::kWait, false, true};
    case MissChoice::kCpu: return {paths.cpu ? MissMode::kCpu : MissMode::kWait, false, true};
    case MissChoice::kWait: return {MissMode::kWait, false, true};
  }
  MissPlan plan = best_plan(rates_, token_work(), paths);
  if (plan.mode != MissMode::kCpu || !host_->holds_all()) plan.use_cache = true;
  return plan;
}

Status ExpertTiers::choose_serving(bool late) {
  rates_ = parts_.link_rates;
  if (!reads_host_) rates_.in_place_bytes_per_s = 0;
  if (!host_->holds_all()) measure_disk();
  HOTSET_RETURN_IF_ERROR(serve(plan_by_choice(paths(late))));
  log_line(LogLevel::kInfo, "experts outside VRAM: %s", way_name(miss_plan_).c_str());
  return ok_status();
}

std::vector<TriedWay> ExpertTiers::ways() const {
  if (on_cpu() || parts_.table.count() == 0 || parts_.options.miss != MissChoice::kAuto || !host_->holds_anything() || rates_.device_bytes_per_s == 0) return {};
  const MissPaths possible = paths(false);
  std::vector<MissPlan> plans = {{MissMode::kWait, false, true}};
  if (possible.in_place) plans.push_back({MissMode::kInPlace, false, true});
  if (possible.cpu && rates_.cpu_bytes_per_s > 0) plans.push_back({MissMode::kCpu, false, true});
  // Only where the CPU is faster than what VRAM is read with can a hit be a loss. It empties VRAM, so it is the last.
  const bool cache_may_lose = rates_.cpu_bytes_per_s > rates_.device_bytes_per_s && host_->holds_all();
  if (possible.cpu && cache_may_lose) plans.push_back({MissMode::kCpu, false, false});
  std::vector<TriedWay> ways;
  double best_ns = INFINITY;
  for (const MissPlan& plan : plans) {
    ways.push_back({plan, estimate_token(rates_, token_work(), plan).total_ns, {}});
    best_ns = std::min(best_ns, ways.back().expected_ns);
  }
  std::erase_if(ways, [&](const TriedWay& way) { return !(way.expected_ns <= std::max(kWorthTrying * best_ns, kCheapTokenNs)); });
  return ways;
}

uint64_t ExpertTiers::promotion_bytes(const MissPlan& plan) const {
  if (plan.mode == MissMode::kWait || !plan.use_cache) return 0;
  // Where host memory is as near as VRAM nothing is gained by moving an expert.
  if (rates_.unified && plan.mode == MissMode::kInPlace) return 0;
  const TokenWork work = token_work();
  const double misses = work.top_k * (1 - work.vram_hit_rate);
  const double miss_ns = layer_cost(rates_, plan.mode, {work.record_bytes, 0, 1, 0}).total_ns();
  if (!(saved_by_hit_ns(rates_, plan, work.record_bytes, work.top_k, misses) > kLeastSaving * miss_ns)) return 0;
  return promotion_budget_bytes(rates_, estimate_token(rates_, work, plan));
}

Status ExpertTiers::serve(const MissPlan& plan) {
  Serving serving;
  serving.decode = plan.mode;
  serving.use_slots = plan.use_cache;
  serving.scan_in_place = !on_cpu() && plan.mode == MissMode::kInPlace && rates_.unified;
  if (!on_cpu()) serving.promotion_bytes = promotion_bytes(plan);
  if (plan.mode == MissMode::kCpu && cpu_experts_ == nullptr) make_cpu_experts();
  HOTSET_RETURN_IF_ERROR(residency_->set_serving(serving));
  miss_plan_ = plan;
  return ok_status();
}

// As load() left it, of what RAM holds.
Status ExpertTiers::warm_vram() {
  for (uint32_t layer = 0; layer < parts_.table.layers(); ++layer) {
    HOTSET_RETURN_IF_ERROR(warm_layer(layer, residency_->fair_share(layer)));
  }
  return ok_status();
}

Status ExpertTiers::settle(std::span<const TriedWay> ways) {
  const auto chosen = choose_way(ways);
  if (!chosen) return ok_status();
  const TriedWay& way = ways[*chosen];
  const bool emptied = way.plan.use_cache && residency_->stats().residents == 0;
  HOTSET_RETURN_IF_ERROR(serve(way.plan));
  if (emptied) HOTSET_RETURN_IF_ERROR(warm_vram());
  if (way.plan.mode != MissMode::kCpu) cpu_experts_.reset();
  if (way.time.token_ns > 0 && host_->holds_all()) {  // else RAM was not warm yet, and the time is not one of a run
    TokenWork work = token_work();
    work.vram_hit_rate = way.time.hit_rate;
    const double expected_ns = estimate_token(rates_, work, way.plan).total_ns;
    measured_share_ = expected_ns > 0 && std::isfinite(expected_ns) ? way.time.token_ns / expected_ns : 1;
    tried_ = true;
  }
  log_line(LogLevel::kInfo, "experts outside VRAM: %s, the fastest of %zu ways tried", way_name(way.plan).c_str(), ways.size());
  return ok_status();
}

}  // namespace hotset
