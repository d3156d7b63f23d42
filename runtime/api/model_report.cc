#include "runtime/api/model_report.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "platform/bytes.h"
#include "runtime/api/parameter_count.h"

namespace hotset {
namespace {

std::string row(const char* label, const std::string& value) {
  std::string text = label;
  text.resize(std::max<size_t>(text.size(), 14), ' ');
  return text + "  " + escape_controls(value) + "\n";
}

std::string padded(std::string text, size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

std::string shape_text(const std::vector<uint64_t>& shape) {
  std::string text;
  for (const uint64_t extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f %%", share * 100);
  return text;
}

std::string expert_size(const ModelReport& report) {
  const std::string most = format_bytes(report.expert_bytes_max);
  return report.expert_bytes_min == report.expert_bytes_max ? most : format_bytes(report.expert_bytes_min) + " to " + most;
}

std::string context_text(const ModelReport& report) {
  std::string text = std::to_string(report.context_tokens) + ", " + format_bytes(report.kv_bytes_per_token) + " of KV cache a token";
  if (report.state_bytes != 0) text += ", " + format_bytes(report.state_bytes) + " of recurrent state";
  return text;
}

// "Q4_K 11.2 GiB, Q6_K 5.1 GiB, F32 6.3 MiB": the largest share first.
std::string block_types(const ModelReport& report) {
  std::map<std::string, uint64_t> bytes;
  for (const TensorLine& line : report.tensors) bytes[line.type] += line.size_bytes;
  std::vector<std::pair<std::string, uint64_t>> types(bytes.begin(), bytes.end());
  std::stable_sort(types.begin(), types.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text;
  for (const auto& [type, size] : types) text += (text.empty() ? "" : ", ") + type + " " + format_bytes(size);
  return text;
}

std::string summary_text(const ModelReport& report) {
  std::string text = row("file", report.path) + row("size", format_bytes(report.file_bytes)) +
                     row("architecture", report.architecture) + row("name", report.name) +
                     row("parameters", parameters_text(report.parameter_count) + ", " + parameters_text(active_parameters(report)) + " used by a token") +
                     row("block types", block_types(report)) +
                     row("layers", std::to_string(report.layers) + ", " + std::to_string(report.moe_layers) + " with experts") +
                     row("experts", std::to_string(report.experts) + " a layer, " + std::to_string(report.experts_used) +
                                        " used by a token") +
                     row("expert size", expert_size(report)) + row("all experts", format_bytes(report.all_expert_bytes)) +
                     row("dense weights", format_bytes(report.dense_bytes)) +
                     row("context", context_text(report)) +
                     row("vocabulary", std::to_string(report.vocab_size));
  if (!report.runnable) return text + row("runs", "no: " + report.why_not);
  text += row("least --vram", format_bytes(report.least_vram_bytes));
  for (const BudgetLine& line : report.budgets) {
    text += row("fits", percent(line.expert_share) + " of the experts in " + format_bytes(line.vram_bytes));
  }
  return text;
}

std::string lists_text(const ModelReport& report) {
  std::string text = "\nmetadata\n";
  for (const MetadataLine& line : report.metadata) {
    text += "  " + escape_controls(line.key) + " (" + line.type + ") = " + escape_controls(line.value) + "\n";
  }
  text += "\ntensors\n";
  for (const TensorLine& line : report.tensors) {
    text += "  " + padded(escape_controls(line.name), 36) + "  " + padded(line.type, 6) + "  " + padded(shape_text(line.shape), 22) +
            "  " + padded(format_bytes(line.size_bytes), 12) + "  at " + std::to_string(line.file_offset_bytes) +
            (line.part > 0 ? " of part " + std::to_string(line.part + 1) : "") + "\n";
  }
  return text;
}

Json summary_json(const ModelReport& report) {
  return {{"path", report.path},
          {"architecture", report.architecture},
          {"name", report.name},
          {"runnable", report.runnable},
          {"why_not", report.why_not},
          {"file_bytes", report.file_bytes},
          {"parameter_count", report.parameter_count},
          {"active_parameter_count", active_parameters(report)},
          {"layers", report.layers},
          {"moe_layers", report.moe_layers},
          {"experts", report.experts},
          {"experts_used", report.experts_used},
          {"expert_bytes_min", report.expert_bytes_min},
          {"expert_bytes_max", report.expert_bytes_max},
          {"all_expert_bytes", report.all_expert_bytes},
          {"dense_bytes", report.dense_bytes},
          {"context_tokens", report.context_tokens},
          {"kv_bytes_per_token", report.kv_bytes_per_token},
          {"state_bytes", report.state_bytes},
          {"vocab_size", report.vocab_size},
          {"least_vram_bytes", report.least_vram_bytes}};
}

void add_lists(const ModelReport& report, Json& json) {
  Json budgets = Json::array(), metadata = Json::array(), tensors = Json::array();
  for (const BudgetLine& line : report.budgets) {
    budgets.push_back({{"vram_bytes", line.vram_bytes}, {"expert_share", line.expert_share}});
  }
  for (const MetadataLine& line : report.metadata) {
    metadata.push_back({{"key", line.key}, {"type", line.type}, {"value", line.value}});
  }
  for (const TensorLine& line : report.tensors) {
    tensors.push_back({{"name", line.name},
                       {"type", line.type},
                       {"shape", line.shape},
                       {"size_bytes", line.size_bytes},
                       {"file_offset_bytes", line.file_offset_bytes},
                       {"part", line.part}});
  }
  json["budgets"] = std::move(budgets);
  json["metadata"] = std::move(metadata);
  json["tensors"] = std::move(tensors);
}

}  // namespace

std::string model_text(const ModelReport& report) { return summary_text(report) + lists_text(report); }

Json model_json(const ModelReport& report) {
  Json json = summary_json(report);
  add_lists(report, json);
  return json;
}

}  // namespace hotset
