// `hotset simulate`: which policy and how much cache a model's routing deserves, from recorded traces alone.
#include <optional>

#include "runtime/app/command.h"
#include "runtime/app/json_writer.h"
#include "runtime/app/model_flags.h"
#include "runtime/app/word_list.h"

namespace hotset {
namespace {

class SimulateCommand : public Command {
 public:
  const char* name() const override { return "simulate"; }
  const char* summary() const override { return "Replay routing traces through caches: hit rates by policy and size, expected speed"; }

  void add_flags(Flags& flags) override {
    flags.add("TRACE", &paths_, "Routing traces, as `hotset run --trace` writes them.").value_name("FILE").required();
    flags.add("--policy", &policies_, "Eviction policies to compare, with commas; belady is the bound that knows the future. All by default.")
        .value_name("NAMES").comma_separated();
    flags.add("--capacity", &capacities_, "Shares of all experts that have room, with commas.")
        .value_name("PERCENT").comma_separated().show_default("10%,25%,50%,75%");
    flags.add("--scope", &scope_, "global: one memory for all layers, as in a run. layer: a fixed part for each.")
        .value_name("global|layer").one_of({"global", "layer"}).show_default();
    flags.add("--warm", &warm_, "Tokens at the start that are not counted; else 64, fewer of short traces.").value_name("TOKENS");
    flags.add("--links", &links_, "A JSON file with the rates of a machine: tokens a second are estimated too. Needs --expert-size.")
        .value_name("FILE");
    flags.add("--expert-size", &expert_size_, "Size of one expert's weights, with --links.").value_name("SIZE");
    flags.add("--dense-size", &dense_size_, "Weights that every token reads besides, with --links; 0 by default.").value_name("SIZE");
    add_json_flag(flags, json_, "Write the results as JSON.");
  }

  Status check_usage() const override {
    if (links_.empty() != expert_size_.empty()) return error(Code::kInvalidArgument, "--links and --expert-size go together");
    if (!dense_size_.empty() && links_.empty()) return error(Code::kInvalidArgument, "--dense-size goes with --links");
    return ok_status();
  }

  Status execute(Console& console) override {
    const std::string policies = joined(policies_, ","), capacities = joined(capacities_, ",");
    hotset_simulate_params params = HOTSET_SIMULATE_PARAMS_INIT;
    params.policies = given(policies);
    params.capacities = capacities.c_str();
    params.layer_scope = scope_ == "layer";
    params.warm_tokens = warm_ ? &*warm_ : nullptr;
    params.links_path = given(links_);
    params.expert_size = given(expert_size_);
    params.dense_size = given(dense_size_);
    Json traces = Json::array();
    for (const std::string& path : paths_) {
      params.trace_path = path.c_str();
      const std::string report = api::simulation_report(params, report_format(json_));
      if (json_) traces.push_back(Json::parse(report));
      else console.write(report);
    }
    if (json_) console.write(json_text({{"scope", scope_}, {"traces", traces}}));
    return ok_status();
  }

 private:
  std::vector<std::string> paths_;
  std::vector<std::string> policies_;
  std::vector<std::string> capacities_ = {"10%", "25%", "50%", "75%"};
  std::string scope_ = "global";
  std::optional<uint64_t> warm_;
  std::string links_, expert_size_, dense_size_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_simulate_command() { return std::make_unique<SimulateCommand>(); }

}  // namespace hotset
