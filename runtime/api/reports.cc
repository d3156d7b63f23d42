// The C functions that report: devices, model files, plans, simulations, pictures of runs.
#include "platform/bytes.h"
#include "runtime/api/calls.h"
#include "runtime/api/devices_report.h"
#include "runtime/api/model_report.h"
#include "runtime/api/plan.h"
#include "runtime/api/simulation.h"
#include "runtime/engine/heatmap.h"

namespace {

using namespace hotset;

std::string text_or(const char* text, const char* absent) { return text ? text : absent; }

std::vector<std::string> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// Where a report goes, and in which form.
struct Reader {
  hotset_format format;
  hotset_text_function write;
  void* user;

  Status check() const {
    if (write == nullptr) return no_argument("write");
    if (format != HOTSET_TEXT && format != HOTSET_JSON) return error(Code::kInvalidArgument, "format is %d: HOTSET_TEXT or HOTSET_JSON", format);
    return ok_status();
  }
  // `text`, `json`: what makes the report in either form.
  template <class Text, class Document>
  Status give(Text text, Document document) const {
    const std::string report = format == HOTSET_JSON ? document_text(document()) : text();
    const bool taken = report.empty() || write(user, report.data(), report.size()) != 0;
    return taken ? ok_status() : error(Code::kCancelled, "the report was not taken");
  }
};

// `report`: Status(), once the reader is fit to read.
template <class Report>
hotset_code reported(const Reader& reader, hotset_error* error, Report report) {
  return guarded(error, [&]() -> Status {
    HOTSET_RETURN_IF_ERROR(reader.check());
    return report();
  });
}

PlanRequest request_of(const hotset_plan_params& params) {
  PlanRequest request;
  request.model = text_or(params.model_path, "");
  request.shape = text_or(params.shape, "");
  request.quant = text_or(params.quant, "");
  request.gpu = text_or(params.gpu, "");
  request.links = text_or(params.links_path, "");
  request.vram = text_or(params.vram, "");
  request.ram = text_or(params.ram, "");
  request.ram_rate = text_or(params.ram_rate, "");
  request.disk_rate = text_or(params.disk_rate, "");
  if (params.contexts) request.contexts.assign(params.contexts, params.contexts + params.context_count);
  return request;
}

SimulationRequest request_of(const hotset_simulate_params& params) {
  SimulationRequest request;
  request.trace = text_or(params.trace_path, "");
  request.policies = parts_of(text_or(params.policies, ""));
  request.capacities = parts_of(text_or(params.capacities, "10%,25%,50%,75%"));
  request.scope = params.layer_scope ? CacheScope::kLayer : CacheScope::kGlobal;
  if (params.warm_tokens) request.warm_tokens = *params.warm_tokens;
  request.links = text_or(params.links_path, "");
  request.expert_size = text_or(params.expert_size, "");
  request.dense_size = text_or(params.dense_size, "");
  return request;
}

std::string heatmap_text(const HeatmapReport& report) {
  char text[160];
  const auto tokens = static_cast<unsigned long long>(report.tokens);
  if (report.slots == 0) {
    std::snprintf(text, sizeof text, "%llu tokens, %u layers of %u experts; as the run had them: %.1f %% hits\n", tokens, report.layers, report.experts,
                  report.hit_rate * 100);
  } else {
    std::snprintf(text, sizeof text, "%llu tokens, %u layers of %u experts; %.32s with %u slots: %.1f %% hits\n", tokens, report.layers,
                  report.experts, report.policy.c_str(), report.slots, report.hit_rate * 100);
  }
  return text;
}

Json heatmap_json(const HeatmapReport& report, const std::string& picture_path) {
  return {{"model", report.model},        {"layers", report.layers},     {"experts", report.experts},
          {"experts_used", report.top_k}, {"tokens", report.tokens},     {"policy", report.policy},
          {"slots", report.slots},        {"hit_rate", report.hit_rate}, {"transfers", report.transfers}, {"picture", picture_path}};
}

Result<HeatmapOptions> options_of(const hotset_heatmap_params& params) {
  if (params.trace_path == nullptr) return no_argument("trace_path");
  if (params.picture_path == nullptr) return no_argument("picture_path");
  const std::string capacity_text = text_or(params.capacity, "25%");
  const auto capacity = parse_byte_size(capacity_text);
  if (!capacity.ok() || !capacity->is_percent) {
    return error(Code::kInvalidArgument, "--capacity: '%.32s' is not a share such as 25%%", capacity_text.c_str());
  }
  return HeatmapOptions{params.trace_path, params.picture_path, text_or(params.policy, ""), capacity->percent / 100};
}

}  // namespace

extern "C" {

hotset_code hotset_report_devices(hotset_format format, hotset_text_function write, void* user, hotset_error* error) {
  const Reader reader = {format, write, user};
  return reported(reader, error, [&]() -> Status {
    HOTSET_ASSIGN(const auto devices, list_devices());
    return reader.give([&] { return devices_text(devices); }, [&] { return devices_json(devices); });
  });
}

hotset_code hotset_report_model(const char* model_path, hotset_format format, hotset_text_function write, void* user, hotset_error* error) {
  const Reader reader = {format, write, user};
  return reported(reader, error, [&]() -> Status {
    HOTSET_ASSIGN(const std::string path, model_path ? Result<std::string>(model_path) : shipped_model_path());
    HOTSET_ASSIGN(const ModelReport model, inspect_model(path));
    return reader.give([&] { return model_text(model); }, [&] { return model_json(model); });
  });
}

hotset_code hotset_report_plan(const hotset_plan_params* params, hotset_format format, hotset_text_function write, void* user, hotset_error* error) {
  const Reader reader = {format, write, user};
  return reported(reader, error, [&]() -> Status {
    hotset_plan_params values;
    HOTSET_RETURN_IF_ERROR(take(params, values, "params"));
    HOTSET_RETURN_IF_ERROR(check_array(values.contexts, values.context_count, "contexts"));
    HOTSET_ASSIGN(const PlanReport plan, make_plan(request_of(values)));
    return reader.give([&] { return plan_text(plan); }, [&] { return plan_json(plan); });
  });
}

hotset_code hotset_report_known(hotset_format format, hotset_text_function write, void* user, hotset_error* error) {
  const Reader reader = {format, write, user};
  return reported(reader, error, [&] { return reader.give(known_text, known_json); });
}

hotset_code hotset_report_simulation(const hotset_simulate_params* params, hotset_format format, hotset_text_function write, void* user,
                                     hotset_error* error) {
  const Reader reader = {format, write, user};
  return reported(reader, error, [&]() -> Status {
    hotset_simulate_params values;
    HOTSET_RETURN_IF_ERROR(take(params, values, "params"));
    if (values.trace_path == nullptr) return no_argument("trace_path");
    HOTSET_ASSIGN(const SimulationReport simulation, run_simulation(request_of(values)));
    return reader.give([&] { return simulation_text(simulation); }, [&] { return simulation_json(simulation); });
  });
}

hotset_code hotset_draw_heatmap(const hotset_heatmap_params* params, hotset_format format, hotset_text_function write, void* user, hotset_error* error) {
  const Reader reader = {format, write, user};
  return guarded(error, [&]() -> Status {
    if (write) HOTSET_RETURN_IF_ERROR(reader.check());
    hotset_heatmap_params values;
    HOTSET_RETURN_IF_ERROR(take(params, values, "params"));
    HOTSET_ASSIGN(const HeatmapOptions options, options_of(values));
    HOTSET_ASSIGN(const HeatmapReport drawn, draw_heatmap(options));
    if (!write) return ok_status();
    return reader.give([&] { return heatmap_text(drawn); }, [&] { return heatmap_json(drawn, options.picture_path); });
  });
}

}  // extern "C"
