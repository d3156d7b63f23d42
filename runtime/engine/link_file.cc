#include "runtime/engine/link_file.h"

#include <algorithm>
#include <vector>

#include "platform/file.h"
#include "platform/log.h"
#include "runtime/engine/kept_lines.h"

namespace hotset {
namespace {

constexpr std::string_view kFirstLine = "hotset links 2";
constexpr uint64_t kMostFileBytes = 64 << 10;
constexpr double kMostBytesPerS = 1e15;  // beyond every memory
constexpr double kMostNs = 1e12;

// Every figure of the file: its name, the most it may be, and where it belongs.
struct Field {
  std::string name;
  double most;
  double* value;
};

// `values` is what files hold; the integers among the rates go by way of doubles.
struct Figures {
  LinkProbe probe;
  double copy_ns = 0;
  double stop_ns = 0;
  double operation_ns = 0;
  double submit_ns = 0;
  double unified = 0;
  double copies_overlap = 0;
  double copy_path = 0;

  std::vector<Field> fields() {
    LinkRates& rates = probe.rates;
    std::vector<Field> all = {{"device_bytes_per_s", kMostBytesPerS, &rates.device_bytes_per_s},
                              {"in_place_bytes_per_s", kMostBytesPerS, &rates.in_place_bytes_per_s},
                              {"copy_bytes_per_s", kMostBytesPerS, &rates.copy_bytes_per_s},
                              {"copy_ns", kMostNs, &copy_ns},
                              {"ram_bytes_per_s", kMostBytesPerS, &rates.ram_bytes_per_s},
                              {"stop_ns", kMostNs, &stop_ns},
                              {"cpu_bytes_per_s", kMostBytesPerS, &rates.cpu_bytes_per_s},
                              {"operation_ns", kMostNs, &operation_ns},
                              {"submit_ns", kMostNs, &submit_ns},
                              {"unified", 1, &unified},
                              {"copies_overlap", 1, &copies_overlap},
                              {"copy_path", kCopyPaths - 1, &copy_path},
                              {"write_bytes_per_s", kMostBytesPerS, &probe.write_bytes_per_s},
                              {"round_trip_ns", kMostNs, &probe.round_trip_ns}};
    for (size_t path = 0; path < kCopyPaths; ++path) {
      const std::string name = copy_path_name(static_cast<CopyPath>(path));
      all.push_back({name + "_bytes_per_s", kMostBytesPerS, &probe.copies[path].bytes_per_s});
      all.push_back({name + "_batch_ns", kMostNs, &probe.copies[path].batch_ns});
    }
    return all;
  }
};

void join(Figures& figures) {
  LinkRates& rates = figures.probe.rates;
  rates.copy_ns = static_cast<uint64_t>(figures.copy_ns);
  rates.stop_ns = static_cast<uint64_t>(figures.stop_ns);
  rates.operation_ns = static_cast<uint64_t>(figures.operation_ns);
  rates.submit_ns = static_cast<uint64_t>(figures.submit_ns);
  rates.unified = figures.unified != 0;
  rates.copies_overlap = figures.copies_overlap != 0;
  figures.probe.copy_path = static_cast<CopyPath>(figures.copy_path);
}

Figures split(const LinkProbe& probe) {
  Figures figures;
  figures.probe = probe;
  figures.copy_ns = static_cast<double>(probe.rates.copy_ns);
  figures.stop_ns = static_cast<double>(probe.rates.stop_ns);
  figures.operation_ns = static_cast<double>(probe.rates.operation_ns);
  figures.submit_ns = static_cast<double>(probe.rates.submit_ns);
  figures.unified = probe.rates.unified ? 1 : 0;
  figures.copies_overlap = probe.rates.copies_overlap ? 1 : 0;
  figures.copy_path = static_cast<double>(probe.copy_path);
  return figures;
}

std::string owner_lines(const LinkOwner& owner) {
  return std::string(kFirstLine) + "\ndevice " + owner.device + "\nkey " + owner.cache_key + "\nthreads " + std::to_string(owner.threads) + "\n";
}

// "NAME VALUE"; the field is none of `fields` from then on.
Status read_field(std::string_view line, std::vector<Field>& fields) {
  std::string_view rest = line;
  const std::string_view name = cut_word(rest);
  const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& known) { return known.name == name; });
  if (field == fields.end()) return unknown_line(line);
  if (!read_number(rest, field->most, *field->value)) return error(Code::kCorrupt, "the value of %s is none", field->name.c_str());
  fields.erase(field);
  return ok_status();
}

// The file's own figures must agree with each other too: the way that is named the fastest has a rate.
Status check(const LinkProbe& probe) {
  if (probe.rates.device_bytes_per_s <= 0 || probe.rates.ram_bytes_per_s <= 0) return error(Code::kCorrupt, "a rate is 0");
  const bool known = probe.rates.copy_bytes_per_s <= 0 || probe.copies[static_cast<size_t>(probe.copy_path)].bytes_per_s > 0;
  return known ? ok_status() : error(Code::kCorrupt, "it names a copy path that it has no rate of");
}

Result<LinkProbe> read_kept(const std::string& path, const LinkOwner& owner) {
  HOTSET_ASSIGN(const std::string text, read_whole_file(path, kMostFileBytes));
  return read_link_file(text, owner);
}

}  // namespace

std::string link_file_path(const std::string& directory, const LinkOwner& owner) { return directory + "/links-" + owner.cache_key + ".txt"; }

std::string write_link_file(const LinkProbe& probe, const LinkOwner& owner) {
  Figures figures = split(probe);
  std::string text = owner_lines(owner);
  for (const Field& field : figures.fields()) text += field.name + " " + decimal(*field.value) + "\n";
  return text;
}

Result<LinkProbe> read_link_file(std::string_view text, const LinkOwner& owner) {
  Figures figures;
  std::vector<Field> missing = figures.fields();
  HOTSET_RETURN_IF_ERROR(read_kept_lines(text, kFirstLine, owner_lines(owner), "device, driver or number of threads",
                                         [&](std::string_view line) { return read_field(line, missing); }));
  if (!missing.empty()) return error(Code::kCorrupt, "%s is missing", missing.front().name.c_str());
  join(figures);
  HOTSET_RETURN_IF_ERROR(check(figures.probe));
  return figures.probe;
}

Result<LinkProbe> probe_links(DeviceMemory& memory, const LinkProbeOptions& options, const std::string& directory) {
  Device& device = memory.device();
  const LinkOwner owner = {one_line(device.name()), device.cache_key(), options.meter.threads};
  const std::string path = link_file_path(directory, owner);
  if (!directory.empty() && file_exists(path)) {
    auto kept = read_kept(path, owner);
    if (kept.ok()) return kept;
    log_line(LogLevel::kInfo, "the links are measured anew, '%s' is not used: %s", path.c_str(), kept.status().message().c_str());
  }
  HOTSET_ASSIGN(LinkProbe probe, measure_links(memory, options));
  if (directory.empty()) return probe;
  const Status written = write_whole_file(path, write_link_file(probe, owner));
  if (!written.ok()) log_line(LogLevel::kInfo, "the links will be measured again: %s", written.message().c_str());
  return probe;
}

}  // namespace hotset
