// inspect_model: a report on a file, without a device.
#include <algorithm>
#include <cstdio>

#include "offload/slot_plan.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/loaded_model.h"
#include "runtime/model/family.h"

namespace hotset {
namespace {

constexpr size_t kMostArrayElements = 4;
constexpr size_t kMostTextBytes = 96;

std::string text_value(std::string_view text) {
  std::string shown(text.substr(0, kMostTextBytes));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text.size() > kMostTextBytes ? shown + "..." : shown;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

template <class T, class Show>
std::string array_value(const std::vector<T>& values, Show show) {
  std::string text = "[" + std::to_string(values.size()) + "]";
  for (size_t i = 0; i < std::min(values.size(), kMostArrayElements); ++i) text += " " + show(values[i]);
  return values.size() > kMostArrayElements ? text + " ..." : text;
}

std::string show_array(const GgufValue& value) {
  switch (value.element_type()) {
    case GgufType::kString: {
      const auto strings = value.to_strings();
      return strings.ok() ? array_value(*strings, [](std::string_view text) { return "'" + text_value(text) + "'"; }) : "?";
    }
    case GgufType::kF32:
    case GgufType::kF64: {
      const auto floats = value.to_floats();
      return floats.ok() ? array_value(*floats, [](float x) { return number(static_cast<double>(x)); }) : "?";
    }
    case GgufType::kBool: {
      const auto bools = value.to_bools();
      return bools.ok() ? array_value(*bools, [](bool x) { return std::string(x ? "true" : "false"); }) : "?";
    }
    case GgufType::kArray: return "[" + std::to_string(value.count()) + "] arrays";
    default: {
      const auto ints = value.to_ints();
      return ints.ok() ? array_value(*ints, [](int64_t x) { return std::to_string(x); }) : "[" + std::to_string(value.count()) + "]";
    }
  }
}

std::string show_value(const GgufValue& value) {
  switch (value.type()) {
    case GgufType::kString: {
      const auto text = value.to_string();
      return text.ok() ? text_value(*text) : "?";
    }
    case GgufType::kBool: {
      const auto flag = value.to_bool();
      return flag.ok() ? (*flag ? "true" : "false") : "?";
    }
    case GgufType::kArray: return show_array(value);
    case GgufType::kU64: {
      const auto whole = value.to_u64();
      return whole.ok() ? std::to_string(*whole) : "?";
    }
    case GgufType::kF32:
    case GgufType::kF64: {
      const auto real = value.to_f64();
      return real.ok() ? number(*real) : "?";
    }
    default: {
      const auto whole = value.to_i64();
      return whole.ok() ? std::to_string(*whole) : "?";
    }
  }
}

void list_tensors(const GgufFile& file, ModelReport& report) {
  for (const TensorInfo& tensor : file.tensors()) {
    TensorLine line;
    line.name = tensor.name;
    line.type = tensor.type_name();
    line.shape.assign(tensor.dims.begin(), tensor.dims.begin() + tensor.n_dims);
    line.size_bytes = tensor.size_bytes;
    line.file_offset_bytes = tensor.file_offset_bytes;
    line.part = tensor.part;
    report.tensors.push_back(std::move(line));
    report.parameter_count += tensor.elements();
  }
}

// The geometry of the experts and what fits at which budget, as far as it can be known without a device.
Status add_geometry(const GgufFile& file, const ModelSpec& spec, ModelReport& report) {
  HOTSET_ASSIGN(const ExpertTable experts, build_expert_table(file, spec));
  report.moe_layers = experts.layers();
  report.experts = experts.experts();
  report.experts_used = spec.config.experts_used;
  if (experts.classes() != 0) {
    report.expert_bytes_min = experts.class_record_bytes(SizeClassId{0});
    report.expert_bytes_max = experts.class_record_bytes(SizeClassId{experts.classes() - 1});
  }
  report.all_expert_bytes = experts.total_bytes();
  for (const uint64_t bytes : DenseWeights::plan_slabs(spec, kMaxSlabBytes)) report.dense_bytes += bytes;
  HOTSET_ASSIGN(const uint32_t context, pick_context(0, spec.config));
  const WorkspaceShape shape = {context, kLeastBatchTokens, KvElement::kF16};
  const WorkspaceBytes workspace = Workspace::plan(nullptr, spec, shape);
  report.workspace_bytes = workspace.scratch + workspace.shared + workspace.readback;
  const uint64_t kv_bytes = workspace.all_states();
  for (size_t i = 0; i < spec.states.size(); ++i) {
    if (spec.states[i].kind == StateKind::kFixed) report.state_bytes += workspace.states[i];
  }
  report.kv_bytes_per_token = (kv_bytes - report.state_bytes) / context;
  const uint64_t fixed = report.dense_bytes + report.workspace_bytes + kv_bytes + experts.entries() * sizeof(uint64_t);
  report.least_slot_bytes = least_slot_bytes(experts, spec.config.experts_used);
  report.least_vram_bytes = fixed + report.least_slot_bytes;
  for (const double share : {0.1, 0.25, 0.5, 0.75, 1.0}) {
    const uint64_t bytes = fixed + static_cast<uint64_t>(share * static_cast<double>(experts.total_bytes()));
    if (bytes >= report.least_vram_bytes) report.budgets.push_back({bytes, share});
  }
  return ok_status();
}

}  // namespace

Result<ModelReport> inspect_model(const std::string& path) {
  HOTSET_ASSIGN(const auto file, GgufFile::open(path));
  ModelReport report;
  report.path = path;
  report.file_bytes = file->file_size_bytes();
  for (const GgufValue& value : file->values()) {
    report.metadata.push_back({std::string(value.key()), value.describe_type(), show_value(value)});
  }
  list_tensors(*file, report);
  const auto config = read_model_config(*file);
  if (config.ok()) {
    report.architecture = config->architecture;
    report.name = config->name;
    report.layers = config->layers;
    report.experts = config->experts;
    report.experts_used = config->experts_used;
    report.context_tokens = config->context_length;
    report.vocab_size = config->vocab_size;
  }
  const auto spec = describe_model(*file);
  const Status geometry = spec.ok() ? add_geometry(*file, *spec, report) : spec.status();
  report.runnable = geometry.ok();
  report.why_not = geometry.message();
  return report;
}

}  // namespace hotset
