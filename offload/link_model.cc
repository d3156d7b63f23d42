// Formulas: roofline of overlapped lanes. See the header for what overlaps with what.
#include "offload/link_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace hotset {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kIdleShare = 0.5;          // of idle link time that promotions may fill: demand copies must not queue behind them
constexpr double kSerialPromotions = 0.05;  // of a token, where each copy holds up compute
constexpr uint64_t kLeastSubmitBytes = 256u << 10;  // 10 to 80 us on PCIe, as long as the submit takes
constexpr uint32_t kMostExactTopK = 64;     // beyond it the spread about the mean no longer matters, and the sum over outcomes is long

// Time of `bytes` at a rate; no bytes take no time, bytes without a path take for ever.
double time_ns(double bytes, double bytes_per_s) {
  if (bytes <= 0) return 0;
  return bytes_per_s > 0 ? bytes / bytes_per_s * 1e9 : kNever;
}

double over_ns(double whole, double covered) { return std::max(0.0, whole - covered); }

// RAM without a limit of its own takes no time.
double ram_time_ns(const LinkRates& rates, double bytes) { return rates.ram_bytes_per_s > 0 ? time_ns(bytes, rates.ram_bytes_per_s) : 0; }

double read_time_ns(const LinkRates& rates, const LayerWork& work) {
  if (work.disk_misses == 0) return 0;
  return static_cast<double>(rates.disk_ns) +
         time_ns(static_cast<double>(work.disk_misses) * static_cast<double>(work.record_bytes), rates.disk_bytes_per_s);
}

// RAM traffic: each miss is read once, whoever uses it; what came from disk was written first; on unified memory hits
// are read from it too.
double ram_bytes(const LinkRates& rates, const LayerWork& work) {
  const double records = work.misses + 2.0 * work.disk_misses + (rates.unified ? work.hits : 0);
  return records * static_cast<double>(work.record_bytes);
}

LayerCost cost_of_wait(const LinkRates& rates, const LayerWork& work) {
  const double record = static_cast<double>(work.record_bytes);
  const double misses = work.misses + work.disk_misses;
  LayerCost cost;
  cost.stop_ns = static_cast<double>(rates.stop_ns);
  cost.experts_ns = time_ns((work.hits + misses) * record, rates.device_bytes_per_s);
  const double batch_ns = static_cast<double>(rates.copy_ns), copy_ns = time_ns(record, rates.copy_bytes_per_s);
  const double batches = work.disk_misses > 0 && misses > 1 ? 2 : 1;  // what is there at first, then what arrived
  cost.copy_ns = batches * batch_ns + misses * copy_ns;
  cost.ram_ns = over_ns(ram_time_ns(rates, ram_bytes(rates, work)), cost.copy_ns);
  if (work.disk_misses == 0) return cost;
  // The last record from disk is copied after it has arrived, the others while it is read; none before the first has arrived.
  const double first_ns = static_cast<double>(rates.disk_ns) + time_ns(record, rates.disk_bytes_per_s);
  const double behind_disk_ns = read_time_ns(rates, work) + batch_ns + copy_ns;
  const double behind_bus_ns = first_ns + (work.disk_misses > 1 ? 2 : 1) * batch_ns + work.disk_misses * copy_ns;
  cost.disk_ns = over_ns(std::max(behind_disk_ns, behind_bus_ns), cost.copy_ns + cost.ram_ns);
  return cost;
}

LayerCost cost_in_place(const LinkRates& rates, const LayerWork& work) {
  const double record = static_cast<double>(work.record_bytes);
  const double misses = work.misses + work.disk_misses;
  LayerCost cost;
  cost.experts_ns = time_ns((work.hits + misses) * record, rates.device_bytes_per_s);
  cost.copy_ns = over_ns(time_ns(misses * record, rates.in_place_bytes_per_s), time_ns(misses * record, rates.device_bytes_per_s));
  cost.ram_ns = over_ns(ram_time_ns(rates, ram_bytes(rates, work)), cost.experts_ns + cost.copy_ns);
  if (work.disk_misses > 0) {
    cost.stop_ns = static_cast<double>(rates.stop_ns);
    cost.disk_ns = read_time_ns(rates, work);
  }
  return cost;
}

LayerCost cost_on_cpu(const LinkRates& rates, const LayerWork& work, uint32_t copied) {
  const double record = static_cast<double>(work.record_bytes);
  const double on_cpu = work.misses + work.disk_misses - copied;
  const double hits_ns = time_ns(work.hits * record, rates.device_bytes_per_s);
  const double copies_ns = copied == 0 ? 0 : static_cast<double>(rates.copy_ns) + time_ns(copied * record, rates.copy_bytes_per_s);
  LayerCost cost;
  cost.stop_ns = static_cast<double>(rates.stop_ns);
  cost.experts_ns = hits_ns + time_ns(copied * record, rates.device_bytes_per_s);
  cost.copy_ns = rates.copies_overlap ? over_ns(copies_ns, hits_ns) : copies_ns;
  double done_ns = cost.experts_ns + cost.copy_ns;
  cost.cpu_ns = over_ns(time_ns(on_cpu * record, rates.cpu_bytes_per_s), done_ns);
  done_ns += cost.cpu_ns;
  cost.ram_ns = over_ns(ram_time_ns(rates, ram_bytes(rates, work)), done_ns);
  done_ns += cost.ram_ns;
  if (work.disk_misses > 0) cost.disk_ns = over_ns(read_time_ns(rates, work) + time_ns(record, rates.cpu_bytes_per_s), done_ns);
  return cost;
}

void add(LayerCost& sum, const LayerCost& cost, double weight) {
  sum.experts_ns += weight * cost.experts_ns;
  sum.copy_ns += weight * cost.copy_ns;
  sum.cpu_ns += weight * cost.cpu_ns;
  sum.ram_ns += weight * cost.ram_ns;
  sum.disk_ns += weight * cost.disk_ns;
  sum.stop_ns += weight * cost.stop_ns;
}

// The chance of each count 0..trials at `chance` each.
std::vector<double> binomial(uint32_t trials, double chance) {
  std::vector<double> chances(trials + 1, 0.0);
  chances[0] = 1;
  for (uint32_t n = 1; n <= trials; ++n) {
    for (uint32_t i = n; i > 0; --i) chances[i] = chances[i] * (1 - chance) + chances[i - 1] * chance;
    chances[0] *= 1 - chance;
  }
  return chances;
}

LayerCost planned_cost(const LinkRates& rates, const MissPlan& plan, const LayerWork& work) {
  const bool split = plan.split && plan.mode == MissMode::kCpu;
  return layer_cost(rates, plan.mode, work, split ? best_copied(rates, work) : 0);
}

LayerWork work_of(uint64_t record_bytes, uint32_t top_k, uint32_t misses, uint32_t on_disk) {
  return {record_bytes, top_k - misses, misses - on_disk, on_disk};
}

// The mean over all outcomes of a layer: each expert misses by itself, and each miss is on disk by itself.
LayerCost expected_cost(const LinkRates& rates, const MissPlan& plan, uint64_t record_bytes, uint32_t top_k, double miss_chance, double disk_chance) {
  LayerCost sum;
  if (top_k > kMostExactTopK) {
    const auto misses = static_cast<uint32_t>(std::lround(top_k * miss_chance));
    add(sum, planned_cost(rates, plan, work_of(record_bytes, top_k, misses, static_cast<uint32_t>(std::lround(misses * disk_chance)))), 1);
    return sum;
  }
  const std::vector<double> of_misses = binomial(top_k, miss_chance);
  for (uint32_t misses = 0; misses <= top_k; ++misses) {
    if (of_misses[misses] <= 0) continue;
    const std::vector<double> of_disk = binomial(misses, disk_chance);
    for (uint32_t on_disk = 0; on_disk <= misses; ++on_disk) {
      const double weight = of_misses[misses] * of_disk[on_disk];
      if (weight > 0) add(sum, planned_cost(rates, plan, work_of(record_bytes, top_k, misses, on_disk)), weight);
    }
  }
  return sum;
}

double share(double value) { return std::clamp(value, 0.0, 1.0); }

// How the lookups of a token divide, and what crosses the links for them.
struct Traffic {
  double miss_chance = 0;  // of a lookup: neither in VRAM nor prefetched in time
  double disk_chance = 0;  // of a miss: neither in RAM nor read ahead in time
  double routed_bytes = 0;
  double prefetched_bytes = 0;  // to VRAM
  double read_ahead_bytes = 0;  // to RAM
  double promoted_bytes = 0;
};

Traffic traffic_of(const TokenWork& work, const MissPlan& plan) {
  Traffic traffic;
  const double hit_rate = plan.use_cache ? share(work.vram_hit_rate) : 0;
  const double prefetched = plan.use_cache ? share(work.prefetch_recall) : 0;
  const double on_disk = 1 - share(work.ram_hit_share);
  traffic.miss_chance = (1 - hit_rate) * (1 - prefetched);
  traffic.disk_chance = on_disk * (1 - share(work.read_ahead_recall));
  traffic.routed_bytes = static_cast<double>(work.moe_layers) * work.top_k * static_cast<double>(work.record_bytes);
  const double missed_bytes = traffic.routed_bytes * (1 - hit_rate);
  traffic.prefetched_bytes = prefetched > 0 ? missed_bytes * prefetched / std::max(work.prefetch_precision, 1e-6) : 0;
  const double ahead = share(work.read_ahead_recall);
  traffic.read_ahead_bytes = ahead > 0 ? missed_bytes * on_disk * ahead / std::max(work.read_ahead_precision, 1e-6) : 0;
  traffic.promoted_bytes = plan.use_cache && plan.mode != MissMode::kWait ? std::max(0.0, work.promoted_bytes) : 0;
  return traffic;
}

// How long the links are in use. A split sends the copied share over the bus.
void add_busy(const LinkRates& rates, const Traffic& traffic, const MissPlan& plan, TokenEstimate& token) {
  const double missed_bytes = traffic.routed_bytes * traffic.miss_chance;
  const double background_bytes = traffic.prefetched_bytes + traffic.promoted_bytes;
  const double copied = plan.mode == MissMode::kWait ? 1 : plan.mode == MissMode::kCpu && plan.split ? copied_share(rates) : 0;
  const double in_place_ns = plan.mode == MissMode::kInPlace ? time_ns(missed_bytes, rates.in_place_bytes_per_s) : 0;
  token.link_busy_ns = time_ns(missed_bytes * copied + background_bytes, rates.copy_bytes_per_s) + in_place_ns;
  const double read_bytes = missed_bytes * traffic.disk_chance + traffic.read_ahead_bytes;
  const double unified_hits = rates.unified ? traffic.routed_bytes - missed_bytes : 0;
  token.ram_busy_ns = ram_time_ns(rates, missed_bytes + background_bytes + read_bytes + unified_hits);
  token.disk_busy_ns = time_ns(read_bytes, rates.disk_bytes_per_s);
}

// What the links need beyond what the layers took, each attributed to its link.
void add_background(const LinkRates& rates, const Traffic& traffic, TokenEstimate& token) {
  if (!rates.copies_overlap) {
    const double serial_ns = time_ns(traffic.prefetched_bytes + traffic.promoted_bytes, rates.copy_bytes_per_s);
    token.copy_ns += serial_ns;
    token.total_ns += serial_ns;
  }
  const auto stretch = [&](double busy_ns, double& part_ns) {
    const double extra_ns = over_ns(busy_ns, token.total_ns);
    part_ns += extra_ns;
    token.total_ns += extra_ns;
  };
  stretch(token.link_busy_ns, token.copy_ns);
  stretch(token.ram_busy_ns, token.ram_ns);
  stretch(token.disk_busy_ns, token.disk_ns);
}

std::string_view largest_part(const TokenEstimate& token) {
  struct Part {
    double ns;
    std::string_view name;
  };
  const std::array<Part, 7> parts = {{{token.dense_ns + token.experts_ns, "VRAM"},
                                      {token.copy_ns, "bus"},
                                      {token.cpu_ns, "CPU"},
                                      {token.ram_ns, "RAM"},
                                      {token.disk_ns, "disk"},
                                      {token.stops_ns, "stops"},
                                      {token.fixed_ns, "launches"}}};
  return std::max_element(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.ns < b.ns; })->name;
}

}  // namespace

std::string_view miss_mode_name(MissMode mode) {
  switch (mode) {
    case MissMode::kWait: return "wait";
    case MissMode::kInPlace: return "gpu";
    case MissMode::kCpu: return "cpu";
  }
  return "?";
}

MissPaths paths_of(const LinkRates& rates) {
  const bool copies = rates.copy_bytes_per_s > 0, cpu = rates.cpu_bytes_per_s > 0;
  return {copies, rates.in_place_bytes_per_s > 0, cpu, copies && cpu};
}

LayerCost layer_cost(const LinkRates& rates, MissMode mode, const LayerWork& work, uint32_t copied) {
  if (work.misses + work.disk_misses == 0) {
    LayerCost cost;
    cost.experts_ns = time_ns(static_cast<double>(work.hits) * static_cast<double>(work.record_bytes), rates.device_bytes_per_s);
    return cost;
  }
  switch (mode) {
    case MissMode::kWait: return cost_of_wait(rates, work);
    case MissMode::kInPlace: return cost_in_place(rates, work);
    case MissMode::kCpu: break;
  }
  return cost_on_cpu(rates, work, std::min(copied, work.misses));
}

uint32_t best_copied(const LinkRates& rates, const LayerWork& work) {
  uint32_t best = 0;
  double best_ns = cost_on_cpu(rates, work, 0).total_ns();
  for (uint32_t copied = 1; copied <= work.misses && rates.copy_bytes_per_s > 0; ++copied) {
    const double ns = cost_on_cpu(rates, work, copied).total_ns();
    if (ns < best_ns) best = copied, best_ns = ns;
  }
  return best;
}

double copied_share(const LinkRates& rates) {
  const double copy = rates.copy_bytes_per_s, cpu = rates.cpu_bytes_per_s, ram = rates.ram_bytes_per_s;
  if (copy <= 0) return 0;
  if (cpu <= 0) return 1;
  if (ram > 0 && copy + cpu > ram) return share(1 - cpu / ram);
  return copy / (copy + cpu);
}

TokenEstimate estimate_token(const LinkRates& rates, const TokenWork& work, const MissPlan& plan) {
  const Traffic traffic = traffic_of(work, plan);
  const LayerCost layer = expected_cost(rates, plan, work.record_bytes, work.top_k, traffic.miss_chance, traffic.disk_chance);
  const double layers = work.moe_layers;
  const double dense_rate = work.dense_bytes_per_s > 0 ? work.dense_bytes_per_s : rates.device_bytes_per_s;
  TokenEstimate token;
  token.fixed_ns = work.fixed_ns + work.operations * static_cast<double>(rates.operation_ns) + work.submits * static_cast<double>(rates.submit_ns);
  token.dense_ns = time_ns(static_cast<double>(work.dense_bytes), dense_rate);
  if (work.moe_layers > 0) {
    token.experts_ns = layers * layer.experts_ns;
    token.copy_ns = layers * layer.copy_ns;
    token.cpu_ns = layers * layer.cpu_ns;
    token.ram_ns = layers * layer.ram_ns;
    token.disk_ns = layers * layer.disk_ns;
    token.stops_ns = layers * layer.stop_ns;
  }
  token.total_ns = token.fixed_ns + token.dense_ns + layers * (work.moe_layers > 0 ? layer.total_ns() : 0);
  add_busy(rates, traffic, plan, token);
  add_background(rates, traffic, token);
  token.limit = largest_part(token);
  return token;
}

TokenEstimate scaled(TokenEstimate token, double factor) {
  for (double* part : {&token.total_ns, &token.fixed_ns, &token.dense_ns, &token.experts_ns, &token.copy_ns, &token.cpu_ns, &token.ram_ns,
                       &token.disk_ns, &token.stops_ns, &token.link_busy_ns, &token.ram_busy_ns, &token.disk_busy_ns}) {
    *part *= factor;
  }
  return token;
}

void set_read_ahead(const ReadAhead& counted, TokenWork& work) {
  if (counted.lookups == 0) return;
  const auto lookups = static_cast<double>(counted.lookups);
  const double in_time = static_cast<double>(counted.useful) + 0.5 * static_cast<double>(counted.late);
  const double without = std::max(0.0, static_cast<double>(counted.hits) - static_cast<double>(counted.useful));
  work.ram_hit_share = share(without / lookups);
  work.read_ahead_recall = without < lookups ? share(in_time / (lookups - without)) : 0;
  work.read_ahead_precision = counted.reads > 0 ? share(in_time / static_cast<double>(counted.reads)) : 1;
}

MissPlan best_plan(const LinkRates& rates, const TokenWork& work, const MissPaths& possible) {
  MissPlan best;
  double best_ns = kNever;
  const auto weigh = [&](const MissPlan& plan) {
    const double ns = estimate_token(rates, work, plan).total_ns;
    if (ns < best_ns) best = plan, best_ns = ns;
  };
  for (const bool use_cache : {true, false}) {
    if (!use_cache && work.ram_hit_share < 1) continue;
    if (possible.in_place) weigh({MissMode::kInPlace, false, use_cache});
    if (possible.cpu) weigh({MissMode::kCpu, false, use_cache});
    if (possible.split) weigh({MissMode::kCpu, true, use_cache});
    if (possible.wait) weigh({MissMode::kWait, false, use_cache});
  }
  return best;
}

uint64_t slice_bytes(const LinkRates& rates, uint64_t slice_ns) {
  if (slice_ns == 0) return 0;
  const double copy_ns = over_ns(static_cast<double>(slice_ns), static_cast<double>(rates.copy_ns));
  return std::max(kLeastSubmitBytes, static_cast<uint64_t>(copy_ns * 1e-9 * rates.copy_bytes_per_s));
}

MissMode best_mode(const LinkRates& rates, uint64_t record_bytes, uint32_t top_k, double misses, const MissPaths& possible) {
  TokenWork work;
  work.moe_layers = 1;
  work.top_k = top_k;
  work.record_bytes = record_bytes;
  work.vram_hit_rate = top_k > 0 ? 1 - misses / top_k : 1;
  MissMode best = MissMode::kWait;
  double best_ns = kNever;
  for (const MissMode mode : {MissMode::kInPlace, MissMode::kCpu, MissMode::kWait}) {
    if (!possible.allows(mode)) continue;
    const double ns = estimate_token(rates, work, {mode, possible.split, true}).total_ns;
    if (ns < best_ns) best = mode, best_ns = ns;
  }
  return best;
}

double saved_by_hit_ns(const LinkRates& rates, const MissPlan& plan, uint64_t record_bytes, uint32_t top_k, double misses) {
  if (top_k == 0) return 0;
  constexpr double kLeastMisses = 0.01;  // a layer that never misses still has a price for a miss
  const double before = std::clamp(misses, kLeastMisses, static_cast<double>(top_k));
  const double step = std::min(1.0, before);
  const auto cost_ns = [&](double mean) { return expected_cost(rates, plan, record_bytes, top_k, mean / top_k, 0).total_ns(); };
  return std::max(0.0, (cost_ns(before) - cost_ns(before - step)) / step);
}

bool promotion_pays(const LinkRates& rates, uint64_t record_bytes, double saved_ns, double extra_uses_per_token, double horizon_tokens) {
  const double upload_ns = static_cast<double>(rates.copy_ns) + time_ns(static_cast<double>(record_bytes), rates.copy_bytes_per_s);
  return saved_ns * extra_uses_per_token * horizon_tokens > upload_ns;
}

uint64_t promotion_budget_bytes(const LinkRates& rates, const TokenEstimate& token) {
  if (rates.copy_bytes_per_s <= 0 || !std::isfinite(token.total_ns)) return 0;
  if (!rates.copies_overlap) return static_cast<uint64_t>(token.total_ns * kSerialPromotions * rates.copy_bytes_per_s / 1e9);
  double bytes = over_ns(token.total_ns, token.link_busy_ns) * kIdleShare * rates.copy_bytes_per_s / 1e9;
  if (rates.ram_bytes_per_s > 0) bytes = std::min(bytes, over_ns(token.total_ns, token.ram_busy_ns) * kIdleShare * rates.ram_bytes_per_s / 1e9);
  return static_cast<uint64_t>(bytes);
}

bool prefetch_pays(double precision, double gain_ns, double cost_ns) {
  return gain_ns > 0 && precision > (cost_ns > 0 ? cost_ns / (gain_ns + cost_ns) : 0);
}

double break_even_precision(const LinkRates& rates, const TokenEstimate& token, uint64_t record_bytes, double saved_ns, PrefetchTarget target) {
  const bool to_ram = target == PrefetchTarget::kRam;
  const double transfer_ns = time_ns(static_cast<double>(record_bytes), to_ram ? rates.disk_bytes_per_s : rates.copy_bytes_per_s);
  if (!std::isfinite(transfer_ns)) return 1;
  const double gain_ns = to_ram ? static_cast<double>(rates.disk_ns) + transfer_ns : saved_ns;
  if (gain_ns <= 0) return 1;
  const double busy_ns = to_ram ? token.disk_busy_ns : token.link_busy_ns;
  const double busy_share = token.total_ns > 0 ? share(busy_ns / token.total_ns) : 1;
  const double cost_ns = transfer_ns * (!to_ram && !rates.copies_overlap ? 1 : busy_share);
  return cost_ns / (gain_ns + cost_ns);
}

double modelled_hit_rate(double cached_share, double skew) { return 1 - std::pow(1 - share(cached_share), skew); }

double modelled_ram_hit_share(double vram_share, double ram_share, double skew) {
  const double miss_rate = 1 - modelled_hit_rate(vram_share, skew);
  if (miss_rate <= 0) return 1;
  return share((modelled_hit_rate(share(vram_share) + share(ram_share), skew) - (1 - miss_rate)) / miss_rate);
}

}  // namespace hotset
