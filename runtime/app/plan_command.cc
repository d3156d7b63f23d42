// `hotset plan`: before any download, does a model fit a machine, what goes where, and how fast will it be.
#include "runtime/app/command.h"
#include "runtime/app/model_flags.h"

namespace hotset {
namespace {

constexpr uint32_t kMostContextTokens = 1u << 24;

class PlanCommand : public Command {
 public:
  const char* name() const override { return "plan"; }
  const char* summary() const override { return "Say what of a model goes where on a machine and how fast it will be, without running it"; }

  void add_flags(Flags& flags) override {
    flags.add("MODEL", &model_, "A model file. Without one, name a published shape with --shape.").value_name("FILE");
    flags.add("--shape", &shape_, "A published model, such as qwen3-30b-a3b, that needs no file.").value_name("NAME");
    flags.add("--gpu", &gpu_, "A graphics card, such as 'RTX 3060 12GB'. Its rates are expected ones.").value_name("NAME");
    flags.add("--links", &links_,
              "A JSON file with the rates of a machine, in place of the card's expected ones; --vram or --gpu says how much memory it has.")
        .value_name("FILE");
    flags.add("--ram", &ram_, "RAM that experts may take.").value_name("SIZE");
    flags.add("--vram", &vram_, "VRAM that may be used. Set it when other programs need the card; else 90 % of the card's.").value_name("SIZE");
    flags.add("--ctx", &contexts_, "Context lengths to plan for, with commas; else three usual ones.")
        .value_name("TOKENS").comma_separated().range(1, kMostContextTokens);
    flags.add("--quant", &quant_, "Quantisation of a shape, such as Q4_K_M; else the best one is looked for.").value_name("NAME");
    flags.add("--ram-rate", &ram_rate_, "Bytes a second that RAM gives, without --links. Set it for a machine with other than two channels of DDR5.")
        .value_name("SIZE");
    flags.add("--disk-rate", &disk_rate_, "Bytes a second that the disk gives, without --links; 0: no experts on disk.").value_name("SIZE");
    flags.add("--list", &list_, "List the shapes, cards and quantisations that are known.");
    add_json_flag(flags, json_, "Write the plan as JSON.");
  }

  Status check_usage() const override {
    if (list_) return ok_status();
    if (model_.empty() == shape_.empty()) return error(Code::kInvalidArgument, "either a MODEL file or --shape is needed");
    if (gpu_.empty() && links_.empty()) return error(Code::kInvalidArgument, "a machine is needed: --gpu or --links");
    if (gpu_.empty() && vram_.empty()) return error(Code::kInvalidArgument, "--links needs --vram or --gpu to say how much memory the GPU has");
    if (ram_.empty()) return error(Code::kInvalidArgument, "--ram is needed: how much RAM experts may take");
    if (!quant_.empty() && shape_.empty()) return error(Code::kInvalidArgument, "--quant goes with --shape: a file is quantised as it is");
    return ok_status();
  }

  Status execute(Console& console) override {
    const hotset_format format = report_format(json_);
    console.write(list_ ? api::known_report(format) : api::plan_report(params(), format));
    return ok_status();
  }

 private:
  hotset_plan_params params() const {
    hotset_plan_params params = HOTSET_PLAN_PARAMS_INIT;
    params.model_path = given(model_);
    params.shape = given(shape_);
    params.quant = given(quant_);
    params.gpu = given(gpu_);
    params.links_path = given(links_);
    params.vram = given(vram_);
    params.ram = given(ram_);
    params.ram_rate = given(ram_rate_);
    params.disk_rate = given(disk_rate_);
    params.contexts = contexts_.data();
    params.context_count = contexts_.size();
    return params;
  }

  std::string model_, shape_, gpu_, links_, ram_, vram_, quant_, ram_rate_, disk_rate_;
  std::vector<uint32_t> contexts_;
  bool list_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_plan_command() { return std::make_unique<PlanCommand>(); }

}  // namespace hotset
