// `hotset pack`: the side file that lets experts be read from disk in one piece each.
#include <hotset/hotset.hpp>

#include "platform/bytes.h"
#include "runtime/app/command.h"
#include "runtime/app/interrupt.h"
#include "runtime/app/json_writer.h"
#include "runtime/app/progress_bar.h"

namespace hotset {
namespace {

class PackCommand : public Command {
 public:
  const char* name() const override { return "pack"; }
  const char* summary() const override { return "Write a side file in which each expert is one run of bytes, to read from disk faster"; }

  void add_flags(Flags& flags) override {
    flags.add("MODEL", &model_, "A .gguf file, or the first part of a split one.").required();
    flags.add("OUT", &out_, "The file to write; `hotset run --pack OUT` reads it.").required();
    flags.add("--check", &check_, "Write nothing: read OUT and compare every expert with its checksum.");
    flags.add("--json", &json_, "Write what was done as JSON.");
  }

  Status execute(Console& console) override {
    const hotset_pack_report report = run(console);
    console.write(json_ ? json_text(json_of(report)) : text_of(report));
    return ok_status();
  }

 private:
  hotset_pack_report run(const Console& console) const {
    const Interrupt interrupt;
    ProgressBar bar(console, check_ ? "checking" : "packing", console.watched());
    const auto progress = [&](uint64_t done_bytes, uint64_t total_bytes) {
      bar.update(done_bytes, total_bytes);
      return !interrupt.pressed();
    };
    hotset_pack_params params = HOTSET_PACK_PARAMS_INIT;
    params.model_path = model_.c_str();
    params.pack_path = out_.c_str();
    params.check_only = check_;
    return api::pack(params, progress);
  }

  std::string text_of(const hotset_pack_report& report) const {
    return escape_controls(out_) + (check_ ? ": whole, " : ": ") + std::to_string(report.layers) + " layers of " + std::to_string(report.experts) +
           " experts, " + format_bytes(report.file_bytes) + "\n";
  }

  Json json_of(const hotset_pack_report& report) const {
    return {{"path", out_},
            {"layers", report.layers},
            {"experts", report.experts},
            {"expert_bytes", report.expert_bytes},
            {"file_bytes", report.file_bytes}};
  }

  std::string model_;
  std::string out_;
  bool check_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_pack_command() { return std::make_unique<PackCommand>(); }

}  // namespace hotset
