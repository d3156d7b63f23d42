#include "runtime/api/plan.h"

#include <algorithm>

#include "platform/bytes.h"
#include "runtime/api/parameter_count.h"
#include "runtime/engine/machine_links.h"

namespace hotset {
namespace {

constexpr double kUsableVram = 0.9;         // as EngineOptions::vram: peers measured twofold losses past the edge of VRAM
constexpr double kUnifiedVramShare = 0.75;  // of memory that CPU and GPU share: what drivers let a GPU use at most
constexpr uint32_t kUsualContexts[] = {4096, 32768, 131072};
constexpr uint32_t kMostContextTokens = 1u << 24;

Status check_request(const PlanRequest& request) {
  const auto wrong = [](const char* what) { return error(Code::kInvalidArgument, "%s", what); };
  if (request.model.empty() == request.shape.empty()) return wrong("either a model file or a shape is needed");
  if (request.gpu.empty() && request.links.empty()) return wrong("a machine is needed: gpu or links");
  if (request.gpu.empty() && request.vram.empty()) return wrong("links needs vram or gpu to say how much memory the GPU has");
  if (request.ram.empty()) return wrong("ram is needed: how much RAM experts may take");
  if (!request.quant.empty() && request.shape.empty()) return wrong("quant goes with a shape: a file is quantised as it is");
  for (const uint32_t context : request.contexts) {
    if (context == 0 || context > kMostContextTokens) return error(Code::kInvalidArgument, "a context of %u tokens cannot be planned", context);
  }
  return ok_status();
}

Result<uint64_t> absolute_size(const std::string& text, const char* flag) {
  const auto size = parse_byte_size(text);
  if (!size.ok()) return size.status().with_context(flag);
  if (size->is_percent) return error(Code::kInvalidArgument, "%s: a share of an unknown machine is no size; give bytes", flag);
  return size->bytes;
}

Result<HostShape> describe_host(const PlanRequest& request) {
  HostShape host;
  if (!request.ram_rate.empty()) {
    HOTSET_ASSIGN(const uint64_t rate, absolute_size(request.ram_rate, "--ram-rate"));
    if (rate == 0) return error(Code::kInvalidArgument, "--ram-rate: RAM without a rate is none");
    host.ram_bytes_per_s = static_cast<double>(rate);
  }
  if (!request.disk_rate.empty()) {
    HOTSET_ASSIGN(const uint64_t rate, absolute_size(request.disk_rate, "--disk-rate"));
    host.disk_bytes_per_s = static_cast<double>(rate);
  }
  return host;
}

// A GPU without memory of its own shares the RAM: its part is taken out of it.
Status set_vram(const PlanRequest& request, uint64_t card_bytes, PlanMachine& machine) {
  const bool shares_ram = machine.rates.unified;
  const uint64_t whole = shares_ram ? machine.ram_bytes : card_bytes;
  machine.vram_bytes = static_cast<uint64_t>(static_cast<double>(whole) * (shares_ram ? kUnifiedVramShare : kUsableVram));
  if (!request.vram.empty()) {
    HOTSET_ASSIGN(machine.vram_bytes, absolute_size(request.vram, "--vram"));
    if (whole > 0 && machine.vram_bytes > whole) {
      return error(Code::kInvalidArgument, "--vram: %s are more than the %s there are", format_bytes(machine.vram_bytes).c_str(),
                   format_bytes(whole).c_str());
    }
  }
  if (shares_ram) machine.ram_bytes -= std::min(machine.ram_bytes, machine.vram_bytes);
  return ok_status();
}

Result<PlanMachine> describe_machine(const PlanRequest& request) {
  PlanMachine machine;
  HOTSET_ASSIGN(machine.ram_bytes, absolute_size(request.ram, "--ram"));
  uint64_t card_bytes = 0;
  if (!request.gpu.empty()) {
    HOTSET_ASSIGN(const GpuShape* gpu, find_gpu_shape(request.gpu));
    HOTSET_ASSIGN(const HostShape host, describe_host(request));
    machine.name = gpu->name;
    machine.rates = expected_rates(*gpu, host);
    machine.dense_bytes_per_s = dense_bytes_per_s(*gpu);
    card_bytes = gpu->vram_bytes;
  }
  if (!request.links.empty()) {
    HOTSET_ASSIGN(const MachineLinks links, read_links_file(request.links));
    if (machine.name.empty()) machine.name = links.device.empty() ? request.links : links.device;
    machine.rates = links.rates;
    machine.dense_bytes_per_s = 0;
  }
  HOTSET_RETURN_IF_ERROR(set_vram(request, card_bytes, machine));
  return machine;
}

std::vector<uint32_t> contexts_for(const PlanRequest& request, uint32_t most_tokens) {
  if (!request.contexts.empty()) return request.contexts;
  std::vector<uint32_t> contexts;
  for (const uint32_t context : kUsualContexts) {
    if (contexts.empty() || contexts.back() < most_tokens) contexts.push_back(std::min(context, most_tokens));
  }
  return contexts;
}

void place_all(const std::vector<uint32_t>& contexts, PlanReport& report) {
  for (const uint32_t context : contexts) report.contexts.push_back(place_context(report.needs, report.machine, context));
  const Placement& first = report.contexts.front().expected;
  if (!first.fits || report.needs.moe_layers == 0 || first.vram_share >= 1) return;
  for (const double rate : {0.25, 0.5, 0.75, 0.9, 0.95, 0.99}) {
    report.by_hit_rate.push_back(place(report.needs, report.machine, contexts.front(), 3, rate));
  }
}

Status plan_shape(const PlanRequest& request, PlanReport& report) {
  HOTSET_ASSIGN(const ModelShape* shape, find_model_shape(request.shape));
  report.total_parameters = total_parameters(*shape);
  report.active_parameters = active_parameters(*shape);
  report.native = shape->native;
  const std::vector<uint32_t> contexts = contexts_for(request, shape->context_tokens);
  if (!request.quant.empty()) {
    HOTSET_ASSIGN(const QuantMix* mix, find_quant_mix(request.quant));
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

Status plan_file(const PlanRequest& request, PlanReport& report) {
  HOTSET_ASSIGN(const ModelReport file, inspect_model(request.model));
  HOTSET_ASSIGN(report.needs, needs_of(file));
  report.total_parameters = file.parameter_count;
  report.active_parameters = active_parameters(file);
  place_all(contexts_for(request, file.context_tokens), report);
  return ok_status();
}

}  // namespace

Result<PlanReport> make_plan(const PlanRequest& request) {
  HOTSET_RETURN_IF_ERROR(check_request(request));
  PlanReport report;
  HOTSET_ASSIGN(report.machine, describe_machine(request));
  report.machine_is_measured = !request.links.empty();
  HOTSET_RETURN_IF_ERROR(request.shape.empty() ? plan_file(request, report) : plan_shape(request, report));
  return report;
}

}  // namespace hotset
