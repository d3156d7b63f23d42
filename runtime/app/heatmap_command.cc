// `hotset heatmap`: a routing trace, or a run, as a picture.
#include "runtime/app/command.h"
#include "runtime/app/model_flags.h"

namespace hotset {
namespace {

class HeatmapCommand : public Command {
 public:
  const char* name() const override { return "heatmap"; }
  const char* summary() const override { return "Draw a routing trace or a run: use of experts by layer, hit rate and links over time"; }

  void add_flags(Flags& flags) override {
    flags.add("TRACE", &trace_, "A routing trace, as `hotset run --trace` writes it, or the figures of a run, as `hotset run --json` writes them.")
        .value_name("FILE").required();
    flags.add("-o,--output", &picture_, "The PNG to write.").value_name("FILE").required();
    flags.add("--policy", &policy_, "Eviction policy of the cache that the trace is replayed through; else the default one.").value_name("NAME");
    flags.add("--capacity", &capacity_, "Share of all experts that the cache holds.").value_name("PERCENT").show_default();
    add_json_flag(flags, json_, "Write what was drawn as JSON.");
  }

  Status execute(Console& console) override {
    hotset_heatmap_params params = HOTSET_HEATMAP_PARAMS_INIT;
    params.trace_path = trace_.c_str();
    params.picture_path = picture_.c_str();
    params.policy = given(policy_);
    params.capacity = capacity_.c_str();
    console.write(api::draw_heatmap(params, report_format(json_)));
    return ok_status();
  }

 private:
  std::string trace_;
  std::string picture_;
  std::string policy_;
  std::string capacity_ = "25%";
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_heatmap_command() { return std::make_unique<HeatmapCommand>(); }

}  // namespace hotset
