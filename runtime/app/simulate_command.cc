// `hotset simulate`: which policy and how much cache a model's routing deserves, from recorded traces alone.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>

#include "platform/bytes.h"
#include "runtime/app/command.h"
#include "runtime/app/json_writer.h"
#include "runtime/app/model_flags.h"
#include "runtime/engine/machine_links.h"
#include "runtime/engine/simulate.h"

namespace hotset {
namespace {

constexpr MissMode kModes[] = {MissMode::kWait, MissMode::kInPlace, MissMode::kCpu};

// The fastest way to serve misses on some links.
struct Speed {
  MissMode mode = MissMode::kWait;
  double tokens_per_s = 0;
};

struct Cell {
  SimulatedCache cache;
  SimulatedHits hits;   // every miss moves in
  SimulatedHits gated;  // only what promises to pay
  std::optional<Speed> speed;
};

std::string policy_list() {
  std::string names;
  for (const std::string_view name : policy_names()) names += std::string(name) + ", ";
  return names + std::string(kBeladyPolicy);
}

std::string percent_text(double share, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f%%", digits, share * 100);
  return text;
}

std::string padded(std::string text, size_t width) { return std::string(width - std::min(width, text.size()), ' ') + text; }

class SimulateCommand : public Command {
 public:
  const char* name() const override { return "simulate"; }
  const char* summary() const override { return "Replay routing traces through caches: hit rates by policy and size, expected speed"; }

  void add_flags(CLI::App& app) override {
    app.add_option("TRACE", paths_, wrap_help("Routing traces, as `hotset run --trace` writes them."))->type_name("FILE")->required();
    app.add_option("--policy", policies_,
                   wrap_help("Eviction policies to compare, with commas; belady is the bound that knows the future. All by default."))
        ->type_name("NAMES")
        ->delimiter(',');
    app.add_option("--capacity", capacities_, wrap_help("Shares of all experts that have room, with commas."))
        ->type_name("PERCENT")
        ->delimiter(',')
        ->default_str("10%,25%,50%,75%");
    app.add_option("--scope", scope_, wrap_help("global: one memory for all layers, as in a run. layer: a fixed part for each."))
        ->type_name("global|layer")
        ->check(CLI::IsMember({"global", "layer"}).description(""))
        ->capture_default_str();
    app.add_option("--warm", warm_, wrap_help("Tokens at the start that are not counted; else 64, fewer of short traces."))->type_name("TOKENS");
    app.add_option("--links", links_, wrap_help("A JSON file with the rates of a machine: tokens a second are estimated too. Needs --expert-size."))
        ->type_name("FILE");
    app.add_option("--expert-size", expert_size_, wrap_help("Size of one expert's weights, with --links."))->type_name("SIZE");
    app.add_option("--dense-size", dense_size_, wrap_help("Weights that every token reads besides, with --links; 0 by default."))->type_name("SIZE");
    add_json_flag(app, json_, "Write the results as JSON.");
  }

  Status check_usage() const override {
    if (links_.empty() != expert_size_.empty()) return error(Code::kInvalidArgument, "--links and --expert-size go together");
    if (!dense_size_.empty() && links_.empty()) return error(Code::kInvalidArgument, "--dense-size goes with --links");
    return ok_status();
  }

  Status execute(Console& console) override {
    HOTSET_RETURN_IF_ERROR(read_machine());
    HOTSET_ASSIGN(const std::vector<SimulatedCache> caches, read_caches());
    Json traces = Json::array();
    for (const std::string& path : paths_) {
      HOTSET_ASSIGN(const RoutingTrace trace, RoutingTrace::load(path));
      std::vector<Cell> cells;
      for (const SimulatedCache& cache : caches) {
        auto cell = run(trace, cache);
        if (!cell.ok()) return cell.status().with_context(path);
        cells.push_back(std::move(cell).value());
      }
      if (json_) traces.push_back(json_of(path, trace, cells));
      else console.write(text_of(path, trace, cells));
    }
    if (json_) console.write(json_text({{"scope", scope_}, {"traces", traces}}));
    return ok_status();
  }

 private:
  Status read_machine() {
    if (links_.empty()) return ok_status();
    HOTSET_ASSIGN(machine_, read_links_file(links_));
    HOTSET_ASSIGN(model_.record_bytes, bytes_of(expert_size_, "--expert-size"));
    if (model_.record_bytes == 0) return error(Code::kInvalidArgument, "--expert-size: an expert without weights is none");
    if (!dense_size_.empty()) {
      HOTSET_ASSIGN(model_.dense_bytes, bytes_of(dense_size_, "--dense-size"));
    }
    return ok_status();
  }

  static Result<uint64_t> bytes_of(const std::string& text, const char* flag) {
    const auto size = parse_byte_size(text);
    if (!size.ok()) return size.status().with_context(flag);
    if (size->is_percent) return error(Code::kInvalidArgument, "%s: a share is no size; give bytes", flag);
    return size->bytes;
  }

  // Every capacity with every policy.
  Result<std::vector<SimulatedCache>> read_caches() const {
    std::vector<std::string> policies = policies_;
    if (policies.empty()) {
      policies.assign(policy_names().begin(), policy_names().end());
      policies.emplace_back(kBeladyPolicy);
    }
    for (const std::string& policy : policies) {
      const bool known = policy == kBeladyPolicy || std::find(policy_names().begin(), policy_names().end(), policy) != policy_names().end();
      if (!known) return error(Code::kInvalidArgument, "--policy: '%.64s' is not a policy: %s", policy.c_str(), policy_list().c_str());
    }
    std::vector<SimulatedCache> caches;
    for (const std::string& text : capacities_) {
      const auto capacity = parse_byte_size(text);
      if (!capacity.ok() || !capacity->is_percent || !(capacity->percent > 0 && capacity->percent <= 100)) {
        return error(Code::kInvalidArgument, "--capacity: '%.32s' is not a share such as 25%%", text.c_str());
      }
      for (const std::string& policy : policies) {
        SimulatedCache cache;
        cache.policy = policy;
        cache.capacity = capacity->percent / 100;
        cache.scope = scope_ == "layer" ? CacheScope::kLayer : CacheScope::kGlobal;
        caches.push_back(cache);
      }
    }
    return caches;
  }

  Result<Cell> run(const RoutingTrace& trace, const SimulatedCache& cache) const {
    Cell cell;
    cell.cache = cache;
    cell.cache.warm_tokens = warm_.value_or(usual_warm_tokens(trace.tokens()));
    HOTSET_ASSIGN(cell.hits, simulate(trace, cell.cache));
    SimulatedCache gated = cell.cache;
    gated.gated = true;
    HOTSET_ASSIGN(cell.gated, simulate(trace, gated));
    if (!links_.empty()) cell.speed = fastest(trace, cell);
    return cell;
  }

  Speed fastest(const RoutingTrace& trace, const Cell& cell) const {
    Speed best;
    double best_ns = std::numeric_limits<double>::infinity();
    for (const MissMode mode : kModes) {
      if (!paths_of(machine_.rates).allows(mode)) continue;
      const SimulatedHits& hits = mode == MissMode::kWait ? cell.hits : cell.gated;
      const double token_ns = simulated_token_ns(hits, trace.top_k(), machine_.rates, mode, model_);
      if (!(token_ns < best_ns)) continue;
      best_ns = token_ns;
      best = {mode, token_ns > 0 ? 1e9 / token_ns : 0};
    }
    return best;
  }

  std::string text_of(const std::string& path, const RoutingTrace& trace, const std::vector<Cell>& cells) const {
    char line[256];
    std::snprintf(line, sizeof line, "\n%llu tokens, %u layers of %u experts, top %u; hit rates, one memory %s\n",
                  static_cast<unsigned long long>(trace.tokens()), trace.layers(), trace.experts(), trace.top_k(),
                  scope_ == "layer" ? "for each layer" : "for all layers");
    std::string text = escape_controls(path) + (trace.model().empty() ? "" : ": " + escape_controls(trace.model())) + line;
    text += "  capacity  policy     hits   uploads/token   gated: hits   uploads/token";
    text += links_.empty() ? "\n" : "    tok/s  misses\n";
    for (const Cell& cell : cells) text += line_of(cell);
    return text + "\n";
  }

  static std::string line_of(const Cell& cell) {
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

  static Json json_of(const SimulatedHits& hits) {
    return {{"hit_rate", hits.hit_rate()}, {"lookups", hits.lookups}, {"hits", hits.hits}, {"uploads_per_token", hits.uploads_per_token()}};
  }

  static Json json_of(const std::string& path, const RoutingTrace& trace, const std::vector<Cell>& cells) {
    Json rows = Json::array();
    for (const Cell& cell : cells) {
      Json row = {{"policy", cell.cache.policy}, {"capacity", cell.cache.capacity}, {"slots", cell.hits.slots},
                  {"tokens_counted", cell.hits.tokens}, {"forced", json_of(cell.hits)}, {"gated", json_of(cell.gated)}};
      if (cell.speed) row["tokens_per_s"] = cell.speed->tokens_per_s;
      if (cell.speed) row["misses"] = miss_mode_name(cell.speed->mode);
      rows.push_back(std::move(row));
    }
    return {{"trace", path},          {"model", trace.model()}, {"tokens", trace.tokens()}, {"layers", trace.layers()},
            {"experts", trace.experts()}, {"experts_used", trace.top_k()}, {"caches", std::move(rows)}};
  }

  std::vector<std::string> paths_;
  std::vector<std::string> policies_;
  std::vector<std::string> capacities_ = {"10%", "25%", "50%", "75%"};
  std::string scope_ = "global";
  std::optional<uint64_t> warm_;
  std::string links_, expert_size_, dense_size_;
  bool json_ = false;
  MachineLinks machine_;
  SimulatedModel model_;
};

}  // namespace

std::unique_ptr<Command> make_simulate_command() { return std::make_unique<SimulateCommand>(); }

}  // namespace hotset
