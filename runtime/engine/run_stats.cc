#include "runtime/engine/run_stats.h"

#include <nlohmann/json.hpp>

namespace hotset {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMostLayers = 4096;
constexpr uint64_t kMostExperts = 65535;
constexpr uint64_t kMostInAll = 1u << 22;
constexpr uint64_t kMostCount = 1ull << 53;  // beyond it JSON's numbers are not whole
constexpr size_t kMostStretches = 1u << 16;

Result<uint64_t> number_at(const Json& object, const char* name, uint64_t most) {
  if (!object.contains(name) || !object[name].is_number_unsigned() || object[name].get<uint64_t>() > most) {
    return error(Code::kCorrupt, "the run's history has no '%s' that makes sense", name);
  }
  return object[name].get<uint64_t>();
}

Result<RunStretch> stretch_of(const Json& object) {
  if (!object.is_object()) return error(Code::kCorrupt, "a stretch of the run's history is none");
  RunStretch stretch;
  HOTSET_ASSIGN(stretch.tokens, number_at(object, "tokens", kMostCount));
  HOTSET_ASSIGN(stretch.ns, number_at(object, "ns", kMostCount));
  HOTSET_ASSIGN(stretch.lookups, number_at(object, "lookups", kMostCount));
  HOTSET_ASSIGN(stretch.hits, number_at(object, "hits", stretch.lookups));
  HOTSET_ASSIGN(stretch.host_to_device_bytes, number_at(object, "host_to_device_bytes", kMostCount));
  HOTSET_ASSIGN(stretch.disk_to_host_bytes, number_at(object, "disk_to_host_bytes", kMostCount));
  if (stretch.tokens == 0) return error(Code::kCorrupt, "a stretch of the run's history has no tokens");
  return stretch;
}

Status read_uses(const Json& history, RunStats& stats) {
  const auto uses = history.find("uses");
  if (uses == history.end() || !uses->is_array() || uses->size() != size_t{stats.layers} * stats.experts) {
    return error(Code::kCorrupt, "the run's history does not count %u experts in each of %u layers", stats.experts, stats.layers);
  }
  for (const Json& count : *uses) {
    if (!count.is_number_unsigned() || count.get<uint64_t>() > kMostCount) return error(Code::kCorrupt, "a count of the run's history is no number");
    stats.uses.push_back(count.get<uint64_t>());
  }
  return ok_status();
}

Status read_stretches(const Json& history, RunStats& stats) {
  const auto stretches = history.find("stretches");
  if (stretches == history.end() || !stretches->is_array() || stretches->empty() || stretches->size() > kMostStretches) {
    return error(Code::kCorrupt, "the run's history has no tokens");
  }
  for (const Json& one : *stretches) {
    HOTSET_ASSIGN(const RunStretch stretch, stretch_of(one));
    stats.stretches.push_back(stretch);
  }
  return ok_status();
}

}  // namespace

bool looks_like_json(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

Result<RunStats> parse_run_stats(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return error(Code::kCorrupt, "not JSON");
  if (!json.contains("history") || !json["history"].is_object()) {
    return error(Code::kCorrupt, "no run's figures: there is no 'history', which `hotset run --json` writes");
  }
  const Json& history = json["history"];
  RunStats stats;
  if (json.contains("model") && json["model"].is_string()) stats.model = json["model"].get<std::string>();
  HOTSET_ASSIGN(const uint64_t layers, number_at(history, "layers", kMostLayers));
  HOTSET_ASSIGN(const uint64_t experts, number_at(history, "experts", kMostExperts));
  HOTSET_ASSIGN(const uint64_t top_k, number_at(history, "experts_used", experts));
  if (layers == 0 || experts == 0 || top_k == 0 || layers * experts > kMostInAll) return error(Code::kCorrupt, "the run's history is of no model");
  stats.layers = static_cast<uint32_t>(layers);
  stats.experts = static_cast<uint32_t>(experts);
  stats.top_k = static_cast<uint32_t>(top_k);
  HOTSET_RETURN_IF_ERROR(read_uses(history, stats));
  HOTSET_RETURN_IF_ERROR(read_stretches(history, stats));
  return stats;
}

}  // namespace hotset
