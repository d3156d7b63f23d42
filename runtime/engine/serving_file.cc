#include "runtime/engine/serving_file.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "runtime/engine/kept_lines.h"

namespace hotset {
namespace {

constexpr std::string_view kFirstLine = "hotset serving 1";
constexpr double kMostNs = 1e12;

// FNV-1a, 64 bits.
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

std::string hex(uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "%016" PRIx64, value);
  return text;
}

std::string owner_lines(const ServingOwner& owner) {
  return std::string(kFirstLine) + "\ndevice " + one_line(owner.machine.device) + "\nkey " + owner.machine.cache_key + "\nthreads " +
         std::to_string(owner.machine.threads) + "\nmodel " + hex(owner.model.layout_hash) + hex(owner.model.sample_hash) + "\nvram " +
         std::to_string(owner.vram_sixteenths) + "\nram " + std::to_string(owner.ram_sixteenths) + "\nsettings " + one_line(owner.settings) + "\n";
}

// "TOKEN_NS HIT_RATE NAME"
Status read_way(std::string_view line, std::span<TriedWay> ways, std::vector<bool>& seen) {
  std::string_view rest = line;
  WayTime time;
  const bool numbers = read_number(cut_word(rest), kMostNs, time.token_ns) && read_number(cut_word(rest), 1, time.hit_rate);
  const auto way = std::find_if(ways.begin(), ways.end(), [&](const TriedWay& known) { return way_name(known.plan) == rest; });
  const auto index = static_cast<size_t>(way - ways.begin());
  if (!numbers || way == ways.end() || seen[index]) return unknown_line(line);
  way->time = time;
  seen[index] = true;
  return ok_status();
}

}  // namespace

std::string serving_file_path(const std::string& directory, const ServingOwner& owner) {
  return directory + "/serving-" + owner.machine.cache_key + "-" + hex(hash_of(owner_lines(owner))) + ".txt";
}

std::string write_serving_file(std::span<const TriedWay> ways, const ServingOwner& owner) {
  std::string text = owner_lines(owner);
  for (const TriedWay& way : ways) text += decimal(way.time.token_ns) + " " + decimal(way.time.hit_rate) + " " + way_name(way.plan) + "\n";
  return text;
}

Status read_serving_file(std::string_view text, const ServingOwner& owner, std::span<TriedWay> ways) {
  std::vector<bool> seen(ways.size());
  HOTSET_RETURN_IF_ERROR(read_kept_lines(text, kFirstLine, owner_lines(owner), "device, driver, model, budget or setting",
                                         [&](std::string_view line) { return read_way(line, ways, seen); }));
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing == seen.end()) return ok_status();
  return error(Code::kCorrupt, "the way '%s' is missing", way_name(ways[static_cast<size_t>(missing - seen.begin())].plan).c_str());
}

}  // namespace hotset
