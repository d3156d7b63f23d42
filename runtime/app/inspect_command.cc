// `hotset inspect`: what a model file holds and what of it fits where.
#include "runtime/app/command.h"
#include "runtime/app/model_flags.h"

namespace hotset {
namespace {

class InspectCommand : public Command {
 public:
  const char* name() const override { return "inspect"; }
  const char* summary() const override { return "Show a model file: metadata, tensors, experts, what fits at which budget"; }

  void add_flags(Flags& flags) override {
    add_model_argument(flags, model_);
    add_json_flag(flags, json_, "Write the report as JSON.");
  }

  Status execute(Console& console) override {
    console.write(api::model_report(model_, report_format(json_)));
    return ok_status();
  }

 private:
  std::string model_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_inspect_command() { return std::make_unique<InspectCommand>(); }

}  // namespace hotset
