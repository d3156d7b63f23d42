// `hotset heatmap`: a routing trace, or a run, as a picture.
#include <cstdio>

#include "platform/bytes.h"
#include "runtime/app/command.h"
#include "runtime/app/json_writer.h"
#include "runtime/app/model_flags.h"
#include "runtime/engine/heatmap.h"

namespace hotset {
namespace {

class HeatmapCommand : public Command {
 public:
  const char* name() const override { return "heatmap"; }
  const char* summary() const override { return "Draw a routing trace or a run: use of experts by layer, hit rate and links over time"; }

  void add_flags(CLI::App& app) override {
    app.add_option("TRACE", options_.trace_path,
                   wrap_help("A routing trace, as `hotset run --trace` writes it, or the figures of a run, as `hotset run --json` writes them."))
        ->type_name("FILE")
        ->required();
    app.add_option("-o,--output", options_.picture_path, wrap_help("The PNG to write."))->type_name("FILE")->required();
    app.add_option("--policy", options_.policy, wrap_help("Eviction policy of the cache that the trace is replayed through; else the default one."))
        ->type_name("NAME");
    app.add_option("--capacity", capacity_, wrap_help("Share of all experts that the cache holds."))->type_name("PERCENT")->capture_default_str();
    add_json_flag(app, json_, "Write what was drawn as JSON.");
  }

  Status execute(Console& console) override {
    const auto capacity = parse_byte_size(capacity_);
    if (!capacity.ok() || !capacity->is_percent)
      return error(Code::kInvalidArgument, "--capacity: '%.32s' is not a share such as 25%%", capacity_.c_str());
    options_.capacity = capacity->percent / 100;
    HOTSET_ASSIGN(const HeatmapReport report, draw_heatmap(options_));
    console.write(json_ ? json_text(json_of(report)) : line_of(report));
    return ok_status();
  }

 private:
  Json json_of(const HeatmapReport& report) const {
    return {{"model", report.model},        {"layers", report.layers},     {"experts", report.experts},
            {"experts_used", report.top_k}, {"tokens", report.tokens},     {"policy", report.policy},
            {"slots", report.slots},        {"hit_rate", report.hit_rate}, {"transfers", report.transfers}, {"picture", options_.picture_path}};
  }

  std::string line_of(const HeatmapReport& report) const {
    char text[160];
    if (report.slots == 0) {
      std::snprintf(text, sizeof text, "%llu tokens, %u layers of %u experts; as the run had them: %.1f %% hits\n",
                    static_cast<unsigned long long>(report.tokens), report.layers, report.experts, report.hit_rate * 100);
      return text;
    }
    std::snprintf(text, sizeof text, "%llu tokens, %u layers of %u experts; %.32s with %u slots: %.1f %% hits\n",
                  static_cast<unsigned long long>(report.tokens), report.layers, report.experts, report.policy.c_str(), report.slots,
                  report.hit_rate * 100);
    return text;
  }

  HeatmapOptions options_;
  std::string capacity_ = "25%";
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_heatmap_command() { return std::make_unique<HeatmapCommand>(); }

}  // namespace hotset
