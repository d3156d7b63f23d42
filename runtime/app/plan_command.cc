// `hotset plan`: before any download, does a model fit a machine, what goes where, and how fast will it be.
#include <algorithm>
#include <cstdio>
#include <optional>

#include "platform/bytes.h"
#include "runtime/app/command.h"
#include "runtime/app/json_writer.h"
#include "runtime/app/model_flags.h"
#include "runtime/app/parameter_count.h"
#include "runtime/app/plan_report.h"
#include "runtime/engine/machine_links.h"

namespace hotset {
namespace {

constexpr double kUsableVram = 0.9;         // as EngineOptions::vram: peers measured twofold losses past the edge of VRAM
constexpr double kUnifiedVramShare = 0.75;  // of memory that CPU and GPU share: what drivers let a GPU use at most
constexpr uint32_t kUsualContexts[] = {4096, 32768, 131072};
constexpr uint32_t kMostContextTokens = 1u << 24;

class PlanCommand : public Command {
 public:
  const char* name() const override { return "plan"; }
  const char* summary() const override { return "Say what of a model goes where on a machine and how fast it will be, without running it"; }

  void add_flags(CLI::App& app) override {
    app.add_option("MODEL", model_, wrap_help("A model file. Without one, name a published shape with --shape."))->type_name("FILE");
    app.add_option("--shape", shape_, wrap_help("A published model, such as qwen3-30b-a3b, that needs no file."))->type_name("NAME");
    app.add_option("--gpu", gpu_, wrap_help("A graphics card, such as 'RTX 3060 12GB'. Its rates are expected ones."))->type_name("NAME");
    app.add_option(
           "--links", links_,
           wrap_help("A JSON file with the rates of a machine, in place of the card's expected ones; --vram or --gpu says how much memory it has."))
        ->type_name("FILE");
    app.add_option("--ram", ram_, wrap_help("RAM that experts may take."))->type_name("SIZE");
    app.add_option("--vram", vram_, wrap_help("VRAM that may be used. Set it when other programs need the card; else 90 % of the card's."))
        ->type_name("SIZE");
    app.add_option("--ctx", contexts_, wrap_help("Context lengths to plan for, with commas; else three usual ones."))
        ->type_name("TOKENS")
        ->delimiter(',')
        ->check(CLI::Range(uint32_t{1}, kMostContextTokens).description(""));
    app.add_option("--quant", quant_, wrap_help("Quantisation of a shape, such as Q4_K_M; else the best one is looked for."))->type_name("NAME");
    app.add_option("--ram-rate", ram_rate_,
                   wrap_help("Bytes a second that RAM gives, without --links. Set it for a machine with other than two channels of DDR5."))
        ->type_name("SIZE");
    app.add_option("--disk-rate", disk_rate_, wrap_help("Bytes a second that the disk gives, without --links; 0: no experts on disk."))
        ->type_name("SIZE");
    app.add_flag("--list", list_, "List the shapes, cards and quantisations that are known.");
    add_json_flag(app, json_, "Write the plan as JSON.");
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
    if (list_) {
      console.write(json_ ? json_text(known_json()) : known_text());
      return ok_status();
    }
    HOTSET_ASSIGN(const PlanMachine machine, describe_machine());
    PlanReport report;
    report.machine = machine;
    report.machine_is_measured = !links_.empty();
    HOTSET_RETURN_IF_ERROR(shape_.empty() ? plan_file(report) : plan_shape(report));
    console.write(json_ ? json_text(plan_json(report)) : plan_text(report));
    return ok_status();
  }

 private:
  static Result<uint64_t> absolute_size(const std::string& text, const char* flag) {
    const auto size = parse_byte_size(text);
    if (!size.ok()) return size.status().with_context(flag);
    if (size->is_percent) return error(Code::kInvalidArgument, "%s: a share of an unknown machine is no size; give bytes", flag);
    return size->bytes;
  }

  Result<PlanMachine> describe_machine() const {
    PlanMachine machine;
    HOTSET_ASSIGN(machine.ram_bytes, absolute_size(ram_, "--ram"));
    uint64_t card_bytes = 0;
    if (!gpu_.empty()) {
      HOTSET_ASSIGN(const GpuShape* gpu, find_gpu_shape(gpu_));
      HOTSET_ASSIGN(const HostShape host, describe_host());
      machine.name = gpu->name;
      machine.rates = expected_rates(*gpu, host);
      machine.dense_bytes_per_s = dense_bytes_per_s(*gpu);
      card_bytes = gpu->vram_bytes;
    }
    if (!links_.empty()) {
      HOTSET_ASSIGN(const MachineLinks links, read_links_file(links_));
      if (machine.name.empty()) machine.name = links.device.empty() ? links_ : links.device;
      machine.rates = links.rates;
      machine.dense_bytes_per_s = 0;
    }
    HOTSET_RETURN_IF_ERROR(set_vram(card_bytes, machine));
    return machine;
  }

  Result<HostShape> describe_host() const {
    HostShape host;
    if (!ram_rate_.empty()) {
      HOTSET_ASSIGN(const uint64_t rate, absolute_size(ram_rate_, "--ram-rate"));
      if (rate == 0) return error(Code::kInvalidArgument, "--ram-rate: RAM without a rate is none");
      host.ram_bytes_per_s = static_cast<double>(rate);
    }
    if (!disk_rate_.empty()) {
      HOTSET_ASSIGN(const uint64_t rate, absolute_size(disk_rate_, "--disk-rate"));
      host.disk_bytes_per_s = static_cast<double>(rate);
    }
    return host;
  }

  // A GPU without memory of its own shares the RAM: its part is taken out of it.
  Status set_vram(uint64_t card_bytes, PlanMachine& machine) const {
    const bool shares_ram = machine.rates.unified;
    const uint64_t whole = shares_ram ? machine.ram_bytes : card_bytes;
    machine.vram_bytes = static_cast<uint64_t>(static_cast<double>(whole) * (shares_ram ? kUnifiedVramShare : kUsableVram));
    if (!vram_.empty()) {
      HOTSET_ASSIGN(machine.vram_bytes, absolute_size(vram_, "--vram"));
      if (whole > 0 && machine.vram_bytes > whole) {
        return error(Code::kInvalidArgument, "--vram: %s are more than the %s there are", format_bytes(machine.vram_bytes).c_str(),
                     format_bytes(whole).c_str());
      }
    }
    if (shares_ram) machine.ram_bytes -= std::min(machine.ram_bytes, machine.vram_bytes);
    return ok_status();
  }

  Status plan_shape(PlanReport& report) const {
    HOTSET_ASSIGN(const ModelShape* shape, find_model_shape(shape_));
    report.total_parameters = total_parameters(*shape);
    report.active_parameters = active_parameters(*shape);
    report.native = shape->native;
    const std::vector<uint32_t> contexts = contexts_for(shape->context_tokens);
    if (!quant_.empty()) {
      HOTSET_ASSIGN(const QuantMix* mix, find_quant_mix(quant_));
      report.needs = needs_of(*shape, *mix);
    } else {
      report.choices = weigh_quants(*shape, report.machine, contexts.front());
      const QuantChoice* picked = pick_quant(report.choices);
      report.picked = picked == nullptr ? -1 : picked - report.choices.data();
      report.needs = needs_of(*shape, picked == nullptr ? *report.choices.back().mix : *picked->mix);
    }
    place_all(contexts, report);
    return ok_status();
  }

  Status plan_file(PlanReport& report) const {
    HOTSET_ASSIGN(const ModelReport file, inspect_model(model_));
    HOTSET_ASSIGN(report.needs, needs_of(file));
    report.total_parameters = file.parameter_count;
    report.active_parameters = active_parameters(file);
    place_all(contexts_for(file.context_tokens), report);
    return ok_status();
  }

  std::vector<uint32_t> contexts_for(uint32_t most_tokens) const {
    if (!contexts_.empty()) return contexts_;
    std::vector<uint32_t> contexts;
    for (const uint32_t context : kUsualContexts) {
      if (contexts.empty() || contexts.back() < most_tokens) contexts.push_back(std::min(context, most_tokens));
    }
    return contexts;
  }

  static void place_all(const std::vector<uint32_t>& contexts, PlanReport& report) {
    for (const uint32_t context : contexts) report.contexts.push_back(place_context(report.needs, report.machine, context));
    const Placement& first = report.contexts.front().expected;
    if (!first.fits || report.needs.moe_layers == 0 || first.vram_share >= 1) return;
    for (const double rate : {0.25, 0.5, 0.75, 0.9, 0.95, 0.99}) {
      report.by_hit_rate.push_back(place(report.needs, report.machine, contexts.front(), 3, rate));
    }
  }

  std::string model_, shape_, gpu_, links_, ram_, vram_, quant_, ram_rate_, disk_rate_;
  std::vector<uint32_t> contexts_;
  bool list_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_plan_command() { return std::make_unique<PlanCommand>(); }

}  // namespace hotset
