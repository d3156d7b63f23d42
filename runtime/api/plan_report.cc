#include "runtime/api/plan_report.h"

#include <cstdarg>
#include <cstdio>

#include "platform/bytes.h"
#include "runtime/api/parameter_count.h"
#include "runtime/api/report_text.h"

namespace hotset {
namespace {

// Routing of models measured lies between these two (link_model.h, modelled_hit_rate).
constexpr double kEvenSkew = 2;
constexpr double kUnevenSkew = 5;
constexpr double kFewBits = 4;

[[gnu::format(printf, 1, 2)]] std::string form(const char* format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

std::string row(const char* label, const std::string& value) { return form("%-10s ", label) + escape_controls(value) + "\n"; }

std::string percent(double share) { return form("%.0f %%", share * 100); }

std::string rate(double bytes_per_s) { return bytes_per_s > 0 ? form("%.1f GB/s", bytes_per_s / 1e9) : std::string("none"); }

std::string speed(const Placement& placement) {
  const double tokens = placement.token.tokens_per_s();
  return form(tokens >= 100 ? "%.0f" : tokens >= 10 ? "%.1f" : "%.2f", tokens);
}

std::string layers_text(const ModelNeeds& needs) {
  if (needs.moe_layers == 0) return form("%u layers without experts", needs.layers);
  const std::string which = needs.moe_layers == needs.layers ? "each" : form("%u of them", needs.moe_layers);
  return form("%u layers, %s with %u experts of ", needs.layers, which.c_str(), needs.experts) + format_bytes(needs.record_bytes) +
         form(", %u used", needs.top_k);
}

std::string model_lines(const PlanReport& report) {
  const ModelNeeds& needs = report.needs;
  std::string count = report.total_parameters > 0 ? parameters_text(report.total_parameters) + " parameters" : "";
  if (report.active_parameters > 0) count += ", " + parameters_text(report.active_parameters) + " used by a token";
  std::string text = row("model", needs.title + (needs.quant.empty() ? "" : " as " + needs.quant) + ": " + count);
  return text + row("", layers_text(needs) + "; " + format_bytes(needs.file_bytes) + " in all");
}

std::string machine_lines(const PlanReport& report) {
  const LinkRates& rates = report.machine.rates;
  std::string text =
      row("machine", report.machine.name + ": " + format_bytes(report.machine.vram_bytes) + " of VRAM" +
                         (rates.unified ? " out of shared memory" : "") + " and " + format_bytes(report.machine.ram_bytes) + " of RAM to use");
  text += row(report.machine_is_measured ? "measured" : "expected", "experts " + rate(rates.device_bytes_per_s) + " from VRAM, " +
                                                                        rate(rates.in_place_bytes_per_s) + " in place; copies " +
                                                                        rate(rates.copy_bytes_per_s));
  return text + row("", "CPU " + rate(rates.cpu_bytes_per_s) + " of RAM's " + rate(rates.ram_bytes_per_s) + "; disk " + rate(rates.disk_bytes_per_s));
}

std::string choice_line(const QuantChoice& choice, bool picked) {
  const std::string start = form("  %-8s %11s  ", std::string(choice.mix->name).c_str(), format_bytes(choice.needs.file_bytes).c_str());
  if (!choice.placement.fits) return start + "does not fit\n";
  return start + form("%8s tok/s  %3.0f %% of experts in VRAM%s%s\n", speed(choice.placement).c_str(), choice.placement.vram_share * 100,
                      choice.placement.disk_bytes > 0 ? form(", %s on disk", format_bytes(choice.placement.disk_bytes).c_str()).c_str() : "",
                      picked ? "  <- take this" : "");
}

std::string loss_text(const QuantMix& mix) { return mix.expert_bits < kFewBits ? "; with so few bits it answers worse than larger ones" : ""; }

std::string verdict(const PlanReport& report) {
  if (report.picked < 0) return "none: no quantisation fits this machine";
  const QuantChoice& choice = report.choices[static_cast<size_t>(report.picked)];
  const std::string name(choice.mix->name);
  if (choice.placement.token.tokens_per_s() < kReadingTokensPerS) {
    return name + ", the fastest that fits, though slower than one reads (" + form("%.0f", kReadingTokensPerS) + " tok/s)" + loss_text(*choice.mix);
  }
  if (report.picked == 0) return name + ", which keeps all that the published " + std::string(report.native) + " weights hold";
  return name + ", the largest that keeps up with a reader (" + form("%.0f", kReadingTokensPerS) + " tok/s)" + loss_text(*choice.mix);
}

std::string choice_lines(const PlanReport& report) {
  if (report.choices.empty()) return "";
  std::string text = "\n" + row("take", verdict(report));
  for (size_t i = 0; i < report.choices.size(); ++i) text += choice_line(report.choices[i], static_cast<std::ptrdiff_t>(i) == report.picked);
  return text;
}

std::string misses_text(const Placement& placement, const LinkRates& rates) {
  if (placement.vram_share >= 1) return "none: all experts are in VRAM";
  switch (placement.misses.mode) {
    case MissMode::kWait: return "copied to VRAM, while the token waits";
    case MissMode::kInPlace: return rates.unified ? "read where they are, as memory is shared" : "read by the GPU over the bus";
    case MissMode::kCpu: break;
  }
  std::string text =
      placement.misses.use_cache ? "run by the CPU while the GPU does the rest" : "run by the CPU, as are all experts: it is faster than the GPU";
  return placement.misses.split ? text + "; some are copied meanwhile where that is quicker" : text;
}

std::string where_lines(const PlanReport& report) {
  const Placement& placement = report.contexts.front().expected;
  const ModelNeeds& needs = report.needs;
  if (!placement.fits) return "\n" + row("fits", "no: " + placement.why_not);
  const uint64_t slots = needs.record_bytes > 0 ? placement.slot_bytes / needs.record_bytes : 0;
  std::string text = "\n" + row("fits", form("yes, from %s of VRAM on", format_bytes(placement.least_vram_bytes).c_str()));
  text += row("VRAM", "dense weights " + format_bytes(needs.dense_bytes) + ", KV cache " + format_bytes(placement.kv_bytes) + ", activations " +
                          format_bytes(needs.workspace_bytes));
  text += row("", form("%llu experts, ", static_cast<unsigned long long>(slots)) + percent(placement.vram_share) +
                      " of all: " + format_bytes(placement.slot_bytes));
  text += row("RAM", placement.ram_bytes > 0 ? "experts: " + format_bytes(placement.ram_bytes) : "no experts");
  text += row("disk", placement.disk_bytes > 0 ? "experts that fit neither: " + format_bytes(placement.disk_bytes) : "not read while running");
  return text + row("misses", misses_text(placement, report.machine.rates));
}

std::string context_line(const ContextPlan& plan) {
  const Placement& expected = plan.expected;
  const std::string start = form("  %8u  %10s", expected.context_tokens, format_bytes(expected.kv_bytes).c_str());
  if (!expected.fits) return start + "  does not fit: " + expected.why_not + "\n";
  std::string span = speed(plan.low) + " to " + speed(plan.high);
  if (speed(plan.low) == speed(plan.high)) span = "the same";
  return start + form("  %8s  %8s   %-16s %s\n", percent(expected.hit_rate).c_str(), speed(expected).c_str(), span.c_str(),
                      std::string(expected.token.limit).c_str());
}

std::string context_lines(const PlanReport& report) {
  std::string text = "\n   context    KV cache  hit rate     tok/s   by routing       limit\n";
  for (const ContextPlan& plan : report.contexts) text += context_line(plan);
  return text;
}

std::string hit_rate_lines(const PlanReport& report) {
  if (report.by_hit_rate.empty()) return "";
  std::string rates = "\n  hit rate", speeds = "\n  tok/s   ";
  for (const Placement& placement : report.by_hit_rate) {
    rates += form("%9s", percent(placement.hit_rate).c_str());
    speeds += form("%9s", speed(placement).c_str());
  }
  return rates + speeds + form("   at a context of %u\n", report.contexts.front().expected.context_tokens);
}

std::string breakdown_line(const PlanReport& report) {
  const TokenEstimate& token = report.contexts.front().expected.token;
  if (token.total_ns <= 0) return "";
  std::string text;
  const auto add = [&](const char* name, double ns) {
    if (ns >= token.total_ns / 200) text += (text.empty() ? "" : ", ") + std::string(name) + form(" %.1f", ns / 1e6);
  };
  add("launches", token.fixed_ns);
  add("dense", token.dense_ns);
  add("experts", token.experts_ns);
  add("bus", token.copy_ns);
  add("CPU", token.cpu_ns);
  add("RAM", token.ram_ns);
  add("disk", token.disk_ns);
  add("stops", token.stops_ns);
  return row("a token", form("%.1f ms: ", token.total_ns / 1e6) + text);
}

Json rates_json(const LinkRates& rates) {
  return {{"device_bytes_per_s", rates.device_bytes_per_s},
          {"in_place_bytes_per_s", rates.in_place_bytes_per_s},
          {"copy_bytes_per_s", rates.copy_bytes_per_s},
          {"copy_ns", rates.copy_ns},
          {"cpu_bytes_per_s", rates.cpu_bytes_per_s},
          {"ram_bytes_per_s", rates.ram_bytes_per_s},
          {"disk_bytes_per_s", rates.disk_bytes_per_s},
          {"disk_ns", rates.disk_ns},
          {"stop_ns", rates.stop_ns},
          {"unified", rates.unified},
          {"copies_overlap", rates.copies_overlap}};
}

Json placement_json(const Placement& placement) {
  Json json = {{"context_tokens", placement.context_tokens},
               {"fits", placement.fits},
               {"why_not", placement.why_not},
               {"least_vram_bytes", placement.least_vram_bytes}};
  if (!placement.fits) return json;
  const TokenEstimate& token = placement.token;
  json.update({{"kv_bytes", placement.kv_bytes},
               {"vram_expert_bytes", placement.slot_bytes},
               {"ram_expert_bytes", placement.ram_bytes},
               {"disk_expert_bytes", placement.disk_bytes},
               {"vram_expert_share", placement.vram_share},
               {"vram_hit_rate", placement.hit_rate},
               {"ram_hit_share", placement.ram_hit_share},
               {"miss", miss_mode_name(placement.misses.mode)},
               {"miss_split", placement.misses.split},
               {"use_cache", placement.misses.use_cache},
               {"tokens_per_s", token.tokens_per_s()},
               {"limit", token.limit},
               {"token_ns", token.total_ns}});
  json["parts_ns"] = {{"launches", token.fixed_ns}, {"dense", token.dense_ns}, {"experts", token.experts_ns}, {"bus", token.copy_ns},
                      {"cpu", token.cpu_ns},        {"ram", token.ram_ns},     {"disk", token.disk_ns},       {"stops", token.stops_ns}};
  return json;
}

Json choices_json(const PlanReport& report) {
  Json choices = Json::array();
  for (const QuantChoice& choice : report.choices) {
    Json json = placement_json(choice.placement);
    json["quant"] = choice.mix->name;
    json["file_bytes"] = choice.needs.file_bytes;
    choices.push_back(std::move(json));
  }
  return choices;
}

template <class Items, class Show>
std::string name_lines(const char* title, const Items& items, Show show) {
  std::string text = std::string(title) + "\n";
  for (const auto& item : items) text += "  " + show(item) + "\n";
  return text;
}

std::string shape_line(const ModelShape& shape) {
  std::string line = form("%-22s %9s, %8s used", std::string(shape.name).c_str(), parameters_text(total_parameters(shape)).c_str(),
                          parameters_text(active_parameters(shape)).c_str());
  std::string aliases;
  for (const std::string_view alias : shape.aliases) {
    if (!alias.empty()) aliases += (aliases.empty() ? "   also " : ", ") + std::string(alias);
  }
  return line + aliases;
}

std::string gpu_line(const GpuShape& gpu) {
  const std::string name = form("%-24s ", std::string(gpu.name).c_str());
  const std::string peak = form("%.0f GB/s", gpu.vram_bytes_per_s / 1e9);
  return gpu.unified() ? name + "shares RAM, " + peak : name + peak + form(", PCIe %u x%u", gpu.pcie_generation, gpu.pcie_lanes);
}

}  // namespace

ContextPlan place_context(const ModelNeeds& needs, const PlanMachine& machine, uint32_t context_tokens) {
  return {place(needs, machine, context_tokens), place(needs, machine, context_tokens, kEvenSkew),
          place(needs, machine, context_tokens, kUnevenSkew)};
}

std::string plan_text(const PlanReport& report) {
  const bool fits = report.contexts.front().expected.fits;
  return model_lines(report) + machine_lines(report) + choice_lines(report) + where_lines(report) + (fits ? breakdown_line(report) : "") +
         (fits ? context_lines(report) + hit_rate_lines(report) : "");
}

Json plan_json(const PlanReport& report) {
  Json json = {{"model", report.needs.title},
               {"quant", report.needs.quant},
               {"file_bytes", report.needs.file_bytes},
               {"parameter_count", report.total_parameters}};
  json["active_parameter_count"] = report.active_parameters;
  json["dense_bytes"] = report.needs.dense_bytes;
  json["all_expert_bytes"] = report.needs.bank_bytes();
  json["workspace_bytes"] = report.needs.workspace_bytes;
  json["machine"] = {{"name", report.machine.name},
                     {"rates_are_measured", report.machine_is_measured},
                     {"vram_bytes", report.machine.vram_bytes},
                     {"ram_bytes", report.machine.ram_bytes}};
  json["links"] = rates_json(report.machine.rates);
  json["take"] = report.picked < 0 ? Json() : Json(report.choices[static_cast<size_t>(report.picked)].mix->name);
  json["quants"] = choices_json(report);
  Json contexts = Json::array(), rates = Json::array();
  for (const ContextPlan& plan : report.contexts) {
    Json context = placement_json(plan.expected);
    if (plan.expected.fits) context["tokens_per_s_range"] = {plan.low.token.tokens_per_s(), plan.high.token.tokens_per_s()};
    contexts.push_back(std::move(context));
  }
  for (const Placement& placement : report.by_hit_rate) rates.push_back(placement_json(placement));
  json["contexts"] = std::move(contexts);
  json["by_hit_rate"] = std::move(rates);
  return json;
}

std::string known_text() {
  return name_lines("shapes", model_shapes(), shape_line) + name_lines("\ngpus", gpu_shapes(), gpu_line) +
         name_lines("\nquantisations", quant_mixes(),
                    [](const QuantMix& mix) { return form("%-8s %.2f bits a weight of an expert", std::string(mix.name).c_str(), mix.expert_bits); });
}

Json known_json() {
  Json shapes = Json::array(), gpus = Json::array(), quants = Json::array();
  for (const ModelShape& shape : model_shapes()) {
    Json aliases = Json::array();
    for (const std::string_view alias : shape.aliases) {
      if (!alias.empty()) aliases.push_back(alias);
    }
    shapes.push_back({{"name", shape.name},
                      {"aliases", std::move(aliases)},
                      {"parameter_count", total_parameters(shape)},
                      {"active_parameter_count", active_parameters(shape)}});
  }
  for (const GpuShape& gpu : gpu_shapes())
    gpus.push_back({{"name", gpu.name}, {"vram_bytes", gpu.vram_bytes}, {"vram_bytes_per_s", gpu.vram_bytes_per_s}});
  for (const QuantMix& mix : quant_mixes()) quants.push_back({{"name", mix.name}, {"expert_bits", mix.expert_bits}, {"dense_bits", mix.dense_bits}});
  return {{"shapes", std::move(shapes)}, {"gpus", std::move(gpus)}, {"quants", std::move(quants)}};
}

}  // namespace hotset
