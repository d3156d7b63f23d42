// `hotset convert`: a GGUF out of a checkpoint folder.
#include <hotset/hotset.hpp>

#include "platform/bytes.h"
#include "runtime/app/command.h"
#include "runtime/app/interrupt.h"
#include "runtime/app/json_writer.h"
#include "runtime/app/model_flags.h"
#include "runtime/app/progress_bar.h"
#include "runtime/app/word_list.h"

namespace hotset {
namespace {

class ConvertCommand : public Command {
 public:
  const char* name() const override { return "convert"; }
  const char* summary() const override { return "Make a .gguf file of a checkpoint folder with safetensors; goes on where it was stopped"; }

  void add_flags(Flags& flags) override {
    flags.add("FOLDER", &folder_, "A folder with config.json, tokenizer.json and *.safetensors.").required();
    flags.add("OUT", &out_, "The .gguf file to write. OUT.part and OUT.part.state lie beside it until it is whole.").required();
    const std::vector<std::string> types = api::convert_types();
    flags.add("--type", &type_,
              "Of the large matrices: " + joined(types, ", ") + ". Default: MXFP4 or Q4_0 where the folder holds 4 bits already, else Q8_0.")
        .value_name("TYPE:{" + joined(types, ",") + "}")
        .one_of(types);
    flags.add("--threads", &threads_, "CPU threads. Default: one for each core.").value_name("N");
    flags.add("--json", &json_, "Write what was done as JSON.");
  }

  Status execute(Console& console) override {
    const hotset_convert_report report = run(console);
    console.write(json_ ? json_text(json_of(report)) : text_of(report));
    return ok_status();
  }

 private:
  hotset_convert_report run(const Console& console) const {
    const Interrupt interrupt;
    ProgressBar bar(console, "converting", console.watched());
    const auto progress = [&](uint64_t done_bytes, uint64_t total_bytes) {
      bar.update(done_bytes, total_bytes);
      return !interrupt.pressed();
    };
    hotset_convert_params params = HOTSET_CONVERT_PARAMS_INIT;
    params.folder = folder_.c_str();
    params.out_path = out_.c_str();
    params.type = given(type_);
    params.threads = threads_;
    return api::convert(params, progress);
  }

  std::string text_of(const hotset_convert_report& report) const {
    std::string text = escape_controls(out_) + ": " + report.architecture + " as " + report.type + ", " + std::to_string(report.tensors) +
                       " tensors, " + format_bytes(report.file_bytes) + " of " + format_bytes(report.source_bytes);
    if (report.ignored_weights != 0) text += ", " + std::to_string(report.ignored_weights) + " weights left out that no run needs";
    if (report.resumed_bytes != 0) text += ", " + format_bytes(report.resumed_bytes) + " were there already";
    return text + "\n";
  }

  Json json_of(const hotset_convert_report& report) const {
    return {{"path", out_},
            {"architecture", report.architecture},
            {"type", report.type},
            {"tensors", report.tensors},
            {"ignored_weights", report.ignored_weights},
            {"source_bytes", report.source_bytes},
            {"file_bytes", report.file_bytes},
            {"resumed_bytes", report.resumed_bytes}};
  }

  std::string folder_;
  std::string out_;
  std::string type_;
  uint32_t threads_ = 0;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_convert_command() { return std::make_unique<ConvertCommand>(); }

}  // namespace hotset
