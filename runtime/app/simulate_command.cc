// `hotset simulate`: which policy and how much cache a model's routing deserves, from recorded traces alone.
#include <optional>

#include "runtime/app/command.h"
#include "runtime/app/json_writer.h"
#include "runtime/app/model_flags.h"

namespace hotset {
namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

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
    const std::string policies = joined(policies_), capacities = joined(capacities_);
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
