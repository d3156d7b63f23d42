#include "runtime/api/simulation.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "platform/bytes.h"
#include "runtime/engine/machine_links.h"

namespace hotset {
namespace {

constexpr MissMode kModes[] = {MissMode::kWait, MissMode::kInPlace, MissMode::kCpu};

// What speeds are estimated for.
struct Machine {
  LinkRates rates;
  SimulatedModel model;
};

std::string policy_list() {
  std::string names;
  for (const std::string_view name : policy_names()) names += std::string(name) + ", ";
  return names + std::string(kBeladyPolicy);
}

Result<uint64_t> bytes_of(const std::string& text, const char* flag) {
  const auto size = parse_byte_size(text);
  if (!size.ok()) return size.status().with_context(flag);
  if (size->is_percent) return error(Code::kInvalidArgument, "%s: a share is no size; give bytes", flag);
  return size->bytes;
}

Result<std::optional<Machine>> read_machine(const SimulationRequest& request) {
  if (request.links.empty() != request.expert_size.empty()) return error(Code::kInvalidArgument, "--links and --expert-size go together");
  if (!request.dense_size.empty() && request.links.empty()) return error(Code::kInvalidArgument, "--dense-size goes with --links");
  if (request.links.empty()) return std::optional<Machine>();
  Machine machine;
  HOTSET_ASSIGN(const MachineLinks links, read_links_file(request.links));
  machine.rates = links.rates;
  HOTSET_ASSIGN(machine.model.record_bytes, bytes_of(request.expert_size, "--expert-size"));
  if (machine.model.record_bytes == 0) return error(Code::kInvalidArgument, "--expert-size: an expert without weights is none");
  if (!request.dense_size.empty()) {
    HOTSET_ASSIGN(machine.model.dense_bytes, bytes_of(request.dense_size, "--dense-size"));
  }
  return std::optional<Machine>(machine);
}

Result<std::vector<std::string>> read_policies(const SimulationRequest& request) {
  std::vector<std::string> policies = request.policies;
  if (policies.empty()) {
    policies.assign(policy_names().begin(), policy_names().end());
    policies.emplace_back(kBeladyPolicy);
  }
  for (const std::string& policy : policies) {
    const bool known = policy == kBeladyPolicy || std::find(policy_names().begin(), policy_names().end(), policy) != policy_names().end();
    if (!known) return error(Code::kInvalidArgument, "--policy: '%.64s' is not a policy: %s", policy.c_str(), policy_list().c_str());
  }
  return policies;
}

// Every capacity with every policy.
Result<std::vector<SimulatedCache>> read_caches(const SimulationRequest& request) {
  HOTSET_ASSIGN(const std::vector<std::string> policies, read_policies(request));
  std::vector<SimulatedCache> caches;
  for (const std::string& text : request.capacities) {
    const auto capacity = parse_byte_size(text);
    if (!capacity.ok() || !capacity->is_percent || !(capacity->percent > 0 && capacity->percent <= 100)) {
      return error(Code::kInvalidArgument, "--capacity: '%.32s' is not a share such as 25%%", text.c_str());
    }
    for (const std::string& policy : policies) {
      SimulatedCache cache;
      cache.policy = policy;
      cache.capacity = capacity->percent / 100;
      cache.scope = request.scope;
      caches.push_back(cache);
    }
  }
  return caches;
}

SimulatedSpeed fastest(const RoutingTrace& trace, const SimulatedCell& cell, const Machine& machine) {
  SimulatedSpeed best;
  double best_ns = std::numeric_limits<double>::infinity();
  for (const MissMode mode : kModes) {
    if (!paths_of(machine.rates).allows(mode)) continue;
    const SimulatedHits& hits = mode == MissMode::kWait ? cell.hits : cell.gated;
    const double token_ns = simulated_token_ns(hits, trace.top_k(), machine.rates, mode, machine.model);
    if (!(token_ns < best_ns)) continue;
    best_ns = token_ns;
    best = {mode, token_ns > 0 ? 1e9 / token_ns : 0};
  }
  return best;
}

Result<SimulatedCell> run(const RoutingTrace& trace, const SimulatedCache& cache, const std::optional<Machine>& machine) {
  SimulatedCell cell;
  cell.cache = cache;
  HOTSET_ASSIGN(cell.hits, simulate(trace, cell.cache));
  SimulatedCache gated = cell.cache;
  gated.gated = true;
  HOTSET_ASSIGN(cell.gated, simulate(trace, gated));
  if (machine) cell.speed = fastest(trace, cell, *machine);
  return cell;
}

std::string percent_text(double share, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f%%", digits, share * 100);
  return text;
}

std::string padded(std::string text, size_t width) { return std::string(width - std::min(width, text.size()), ' ') + text; }

std::string line_of(const SimulatedCell& cell) {
  char line[200];
  std::snprintf(line, sizeof line, "  %s  %-8s  %s  %14.2f  %s  %14.2f", padded(percent_text(cell.cache.capacity, 1), 8).c_str(),
                cell.cache.policy.c_str(), padded(percent_text(cell.hits.hit_rate(), 1), 6).c_str(), cell.hits.uploads_per_token(),
                padded(percent_text(cell.gated.hit_rate(), 1), 12).c_str(), cell.gated.uploads_per_token());
  std::string text = line;
  if (cell.speed) {
    std::snprintf(line, sizeof line, "  %7.1f  %s", cell.speed->tokens_per_s, std::string(miss_mode_name(cell.speed->mode)).c_str());
    text += line;
  }
  return text + "\n";
}

Json json_of(const SimulatedHits& hits) {
  return {{"hit_rate", hits.hit_rate()}, {"lookups", hits.lookups}, {"hits", hits.hits}, {"uploads_per_token", hits.uploads_per_token()}};
}

Json json_of(const SimulatedCell& cell) {
  Json row = {{"policy", cell.cache.policy}, {"capacity", cell.cache.capacity}, {"slots", cell.hits.slots},
              {"tokens_counted", cell.hits.tokens}, {"forced", json_of(cell.hits)}, {"gated", json_of(cell.gated)}};
  if (cell.speed) row["tokens_per_s"] = cell.speed->tokens_per_s;
  if (cell.speed) row["misses"] = miss_mode_name(cell.speed->mode);
  return row;
}

}  // namespace

Result<SimulationReport> run_simulation(const SimulationRequest& request) {
  HOTSET_ASSIGN(const std::optional<Machine> machine, read_machine(request));
  HOTSET_ASSIGN(std::vector<SimulatedCache> caches, read_caches(request));
  HOTSET_ASSIGN(const RoutingTrace trace, RoutingTrace::load(request.trace));
  SimulationReport report = {request.trace, trace.model(), trace.tokens(), trace.layers(), trace.experts(), trace.top_k(), request.scope, {}};
  for (SimulatedCache& cache : caches) {
    cache.warm_tokens = request.warm_tokens.value_or(usual_warm_tokens(trace.tokens()));
    auto cell = run(trace, cache, machine);
    if (!cell.ok()) return cell.status().with_context(request.trace);
    report.cells.push_back(std::move(cell).value());
  }
  return report;
}

std::string simulation_text(const SimulationReport& report) {
  char line[256];
  std::snprintf(line, sizeof line, "\n%llu tokens, %u layers of %u experts, top %u; hit rates, one memory %s\n",
                static_cast<unsigned long long>(report.tokens), report.layers, report.experts, report.top_k,
                report.scope == CacheScope::kLayer ? "for each layer" : "for all layers");
  std::string text = escape_controls(report.path) + (report.model.empty() ? "" : ": " + escape_controls(report.model)) + line;
  text += "  capacity  policy     hits   uploads/token   gated: hits   uploads/token";
  text += report.cells.empty() || !report.cells.front().speed ? "\n" : "    tok/s  misses\n";
  for (const SimulatedCell& cell : report.cells) text += line_of(cell);
  return text + "\n";
}

Json simulation_json(const SimulationReport& report) {
  Json rows = Json::array();
  for (const SimulatedCell& cell : report.cells) rows.push_back(json_of(cell));
  return {{"trace", report.path},          {"model", report.model}, {"tokens", report.tokens}, {"layers", report.layers},
          {"experts", report.experts}, {"experts_used", report.top_k}, {"caches", std::move(rows)}};
}

}  // namespace hotset
