// The C functions that make files: packs, conversions, measured links.
#include "runtime/api/calls.h"
#include "runtime/engine/convert/convert_model.h"
#include "runtime/engine/measure_machine.h"
#include "runtime/engine/pack_model.h"

namespace {

using namespace hotset;

std::function<bool(uint64_t, uint64_t)> progress_of(hotset_progress_function progress, void* user) {
  return [=](uint64_t done_bytes, uint64_t total_bytes) { return progress == nullptr || progress(user, done_bytes, total_bytes) != 0; };
}

hotset_convert_report report_of(const ConvertReport& from) {
  hotset_convert_report report = HOTSET_CONVERT_REPORT_INIT;
  from.architecture.copy(report.architecture, sizeof report.architecture - 1);
  from.type.copy(report.type, sizeof report.type - 1);
  report.tensors = from.tensors;
  report.ignored_weights = from.ignored;
  report.source_bytes = from.source_bytes;
  report.file_bytes = from.file_bytes;
  report.resumed_bytes = from.resumed_bytes;
  return report;
}

}  // namespace

extern "C" {

hotset_code hotset_pack(const hotset_pack_params* params, hotset_pack_report* report, hotset_error* error) {
  return guarded(error, [&]() -> Status {
    hotset_pack_params values;
    HOTSET_RETURN_IF_ERROR(take(params, values, "params"));
    if (values.model_path == nullptr) return no_argument("model_path");
    if (values.pack_path == nullptr) return no_argument("pack_path");
    if (report) HOTSET_RETURN_IF_ERROR(check_size(*report, "report"));
    const auto progress = progress_of(values.progress, values.progress_user);
    HOTSET_ASSIGN(const PackReport done, values.check_only ? check_pack(values.model_path, values.pack_path, progress)
                                                           : pack_model(values.model_path, values.pack_path, progress));
    if (report == nullptr) return ok_status();
    return fill({0, done.layers, done.experts, done.expert_bytes, done.file_bytes}, report, "report");
  });
}

hotset_code hotset_convert(const hotset_convert_params* params, hotset_convert_report* report, hotset_error* error) {
  return guarded(error, [&]() -> Status {
    hotset_convert_params values;
    HOTSET_RETURN_IF_ERROR(take(params, values, "params"));
    if (values.folder == nullptr) return no_argument("folder");
    if (values.out_path == nullptr) return no_argument("out_path");
    if (report) HOTSET_RETURN_IF_ERROR(check_size(*report, "report"));
    const ConvertOptions options = {values.folder, values.out_path, values.type ? values.type : "", values.threads};
    HOTSET_ASSIGN(const ConvertReport done, convert_model(options, progress_of(values.progress, values.progress_user)));
    return report ? fill(report_of(done), report, "report") : ok_status();
  });
}

const char* hotset_convert_type_at(size_t index) {
  static const std::vector<std::string> types = convert_types();
  return index < types.size() ? types[index].c_str() : nullptr;
}

hotset_code hotset_measure_links(const char* device, const char* disk_path, const char* out_path, hotset_error* error) {
  return guarded(error, [&]() -> Status {
    if (out_path == nullptr) return no_argument("out_path");
    MeasureOptions options;
    if (device) options.device = device;
    if (disk_path) options.disk_path = disk_path;
    HOTSET_ASSIGN(const MachineLinks links, measure_machine(options));
    return write_links_file(out_path, links);
  });
}

}  // extern "C"
