#include "runtime/engine/hot_set.h"

#include <charconv>

#include "platform/file.h"
#include "platform/log.h"

namespace hotset {
namespace {

constexpr uint64_t kMostBytes = 64u << 20;  // a line for each of a million experts is 16 MiB

std::string header_of(const ExpertTable& table) {
  return "HOTSET-EXPERTS 1 layers=" + std::to_string(table.layers()) + " experts=" + std::to_string(table.experts());
}

// "layer expert", both below their limits.
bool parse_line(std::string_view line, const ExpertTable& table, ExpertId& id) {
  const char* const end = line.data() + line.size();
  uint32_t layer = 0;
  uint32_t expert = 0;
  const auto first = std::from_chars(line.data(), end, layer);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return false;
  const auto second = std::from_chars(first.ptr + 1, end, expert);
  if (second.ec != std::errc() || second.ptr != end || layer >= table.layers() || expert >= table.experts(layer)) return false;
  id = {static_cast<uint16_t>(layer), static_cast<uint16_t>(expert)};
  return true;
}

}  // namespace

Result<std::vector<ExpertId>> parse_hot_set(std::string_view text, const ExpertTable& table) {
  std::vector<ExpertId> experts;
  std::vector<bool> seen(table.entries());
  if (!text.empty() && text.back() != '\n') return error(Code::kCorrupt, "its last line has no end: it was cut off");
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (number == 1) {
      if (line == header_of(table)) continue;
      return line.starts_with("HOTSET-EXPERTS 1 ") ? error(Code::kInvalidArgument, "it is of another model")
                                                   : error(Code::kCorrupt, "it does not begin with '%s'", header_of(table).c_str());
    }
    ExpertId id;
    if (!parse_line(line, table, id)) return error(Code::kCorrupt, "line %zu is no 'layer expert' of this model", number);
    const size_t index = size_t{id.layer} * table.experts() + id.expert;
    if (seen[index]) return error(Code::kCorrupt, "line %zu names an expert again", number);
    seen[index] = true;
    experts.push_back(id);
  }
  if (experts.empty()) return error(Code::kCorrupt, "it names no expert");
  return experts;
}

std::string write_hot_set(std::span<const ExpertId> experts, const ExpertTable& table) {
  std::string text = header_of(table) + "\n";
  for (const ExpertId id : experts) text += std::to_string(id.layer) + " " + std::to_string(id.expert) + "\n";
  return text;
}

std::vector<ExpertId> load_hot_set(const std::string& path, const ExpertTable& table) {
  const auto text = read_whole_file(path, kMostBytes);
  if (text.status().code() == Code::kNotFound) return {};
  auto experts = text.ok() ? parse_hot_set(*text, table) : Result<std::vector<ExpertId>>(text.status());
  if (experts.ok()) return std::move(*experts);
  log_line(LogLevel::kWarn, "the hot set '%s' is not used: %s", path.c_str(), experts.status().message().c_str());
  return {};
}

}  // namespace hotset
