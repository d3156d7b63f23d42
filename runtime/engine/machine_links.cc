#include "runtime/engine/machine_links.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "platform/file.h"

namespace hotset {
namespace {

constexpr int kVersion = 1;
constexpr uint64_t kMostFileBytes = 64 << 10;
constexpr double kMostBytesPerS = 1e15;
constexpr uint64_t kMostNs = 1000ull * 1000 * 1000 * 1000;

struct RateKey {
  const char* name;
  double LinkRates::*field;
};
constexpr std::array<RateKey, 6> kRates = {{{"device_bytes_per_s", &LinkRates::device_bytes_per_s},
                                            {"in_place_bytes_per_s", &LinkRates::in_place_bytes_per_s},
                                            {"copy_bytes_per_s", &LinkRates::copy_bytes_per_s},
                                            {"cpu_bytes_per_s", &LinkRates::cpu_bytes_per_s},
                                            {"ram_bytes_per_s", &LinkRates::ram_bytes_per_s},
                                            {"disk_bytes_per_s", &LinkRates::disk_bytes_per_s}}};

struct TimeKey {
  const char* name;
  uint64_t LinkRates::*field;
};
constexpr std::array<TimeKey, 5> kTimes = {{{"copy_ns", &LinkRates::copy_ns},
                                            {"disk_ns", &LinkRates::disk_ns},
                                            {"stop_ns", &LinkRates::stop_ns},
                                            {"operation_ns", &LinkRates::operation_ns},
                                            {"submit_ns", &LinkRates::submit_ns}}};

struct FlagKey {
  const char* name;
  bool LinkRates::*field;
};
constexpr std::array<FlagKey, 2> kFlags = {{{"unified", &LinkRates::unified}, {"copies_overlap", &LinkRates::copies_overlap}}};

bool is_rate(double value) { return std::isfinite(value) && value >= 0 && value <= kMostBytesPerS; }

// Whether the key is one of a table, and if so sets its field. Error: a value that the field cannot hold.
template <class Keys, class Set>
Result<bool> set_one_of(const Keys& keys, const std::string& name, Set set) {
  for (const auto& key : keys) {
    if (name != key.name) continue;
    HOTSET_RETURN_IF_ERROR(set(key));
    return true;
  }
  return false;
}

Status set_key(const std::string& name, const nlohmann::json& value, MachineLinks& links) {
  const auto set_rate = [&](const RateKey& key) {
    if (!value.is_number() || !is_rate(value.get<double>())) return error(Code::kCorrupt, "'%s' is not a rate in bytes per second", key.name);
    links.rates.*key.field = value.get<double>();
    return ok_status();
  };
  const auto set_time = [&](const TimeKey& key) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > kMostNs)
      return error(Code::kCorrupt, "'%s' is not a whole number of nanoseconds", key.name);
    links.rates.*key.field = value.get<uint64_t>();
    return ok_status();
  };
  const auto set_flag = [&](const FlagKey& key) {
    if (!value.is_boolean()) return error(Code::kCorrupt, "'%s' is neither true nor false", key.name);
    links.rates.*key.field = value.get<bool>();
    return ok_status();
  };
  if (name == "hotset_links") return ok_status();
  if (name == "device") {
    if (!value.is_string()) return error(Code::kCorrupt, "'device' is not a text");
    links.device = value.get<std::string>();
    return ok_status();
  }
  HOTSET_ASSIGN(const bool rate, set_one_of(kRates, name, set_rate));
  HOTSET_ASSIGN(const bool time, set_one_of(kTimes, name, set_time));
  HOTSET_ASSIGN(const bool flag, set_one_of(kFlags, name, set_flag));
  return rate || time || flag ? ok_status() : error(Code::kCorrupt, "a links file has no '%.64s'", name.c_str());
}

Status check_version(const nlohmann::json& json) {
  if (json.is_discarded()) return error(Code::kCorrupt, "not JSON");
  if (!json.is_object() || !json.contains("hotset_links")) return error(Code::kCorrupt, "not a links file: no 'hotset_links'");
  const nlohmann::json& version = json["hotset_links"];
  if (!version.is_number_integer()) return error(Code::kCorrupt, "'hotset_links' is not a version number");
  if (version.get<int64_t>() != kVersion)
    return error(Code::kUnsupported, "version %lld of links files; this build reads version %d", static_cast<long long>(version.get<int64_t>()),
                 kVersion);
  return ok_status();
}

Result<MachineLinks> parse_links(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  HOTSET_RETURN_IF_ERROR(check_version(json));
  MachineLinks links;
  for (const auto& [name, value] : json.items()) HOTSET_RETURN_IF_ERROR(set_key(name, value, links));
  if (links.rates.device_bytes_per_s <= 0) return error(Code::kCorrupt, "no 'device_bytes_per_s'");
  return links;
}

}  // namespace

Result<MachineLinks> read_links_file(const std::string& path) {
  HOTSET_ASSIGN(const std::string text, read_whole_file(path, kMostFileBytes));
  auto links = parse_links(text);
  if (!links.ok()) return links.status().with_context(path);
  return links;
}

Status write_links_file(const std::string& path, const MachineLinks& links) {
  nlohmann::ordered_json json = {{"hotset_links", kVersion}, {"device", links.device}};
  for (const RateKey& key : kRates) {
    if (!is_rate(links.rates.*key.field)) return error(Code::kInvalidArgument, "'%s' is not a rate in bytes per second", key.name);
    json[key.name] = links.rates.*key.field;
  }
  for (const TimeKey& key : kTimes) json[key.name] = links.rates.*key.field;
  for (const FlagKey& key : kFlags) json[key.name] = links.rates.*key.field;
  return write_whole_file(path, json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace hotset
