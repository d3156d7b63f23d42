#include "offload/routing_trace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "platform/file.h"

namespace hotset {
namespace {

constexpr uint64_t kMostFileBytes = 1ull << 30;
constexpr uint32_t kMostLayers = 4096;
constexpr uint32_t kMostExperts = 65535;
constexpr uint64_t kMostInAll = 1u << 22;  // experts of all layers; the largest published models have below 2^17
constexpr std::string_view kLinkMark = "# link ";
constexpr uint64_t kMostFigure = 1ull << 62;  // bytes and nanoseconds: sums of two fit 64 bits
constexpr uint32_t kFields = 4;  // sequence, position, phase, experts

std::optional<uint32_t> whole_number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool whole_number(std::string_view text, uint64_t& value) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc() && end == text.data() + text.size();
}

// What stands before the next `mark`; the rest keeps what follows it.
std::string_view cut(std::string_view& rest, char mark) {
  const size_t at = std::min(rest.find(mark), rest.size());
  const std::string_view head = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return head;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// The value after "key:" in a header line, up to a double space or the end.
std::string_view value_of(std::string_view line, std::string_view key) {
  const size_t at = line.find(key);
  if (at == std::string_view::npos) return {};
  std::string_view value = trimmed(line.substr(at + key.size()));
  return trimmed(value.substr(0, value.find("  ")));
}

// The digits that a value starts with ("256 (+1 shared)").
uint32_t leading_number(std::string_view value) {
  const size_t digits = std::min(value.find_first_not_of("0123456789"), value.size());
  return whole_number(value.substr(0, digits)).value_or(0);
}

}  // namespace

Result<RoutingTrace> RoutingTrace::load(const std::string& path) {
  HOTSET_ASSIGN(const std::string text, read_whole_file(path, kMostFileBytes));
  auto trace = parse(text);
  if (!trace.ok()) return trace.status().with_context(path);
  return trace;
}

Result<RoutingTrace> RoutingTrace::parse(std::string_view text) {
  constexpr std::string_view kFirstLine = "# MOETRACE 1";
  if (text.substr(0, kFirstLine.size()) != kFirstLine)
    return error(Code::kCorrupt, "not a routing trace: it does not begin with '%s'", kFirstLine.data());
  RoutingTrace trace;
  for (uint64_t number = 1; !text.empty(); ++number) {
    const std::string_view line = trimmed(cut(text, '\n'));
    if (line.empty()) continue;
    const bool is_link = line.starts_with(kLinkMark);
    if (line.front() == '#' && !is_link) {
      trace.read_header(line);
      continue;
    }
    const Status token = is_link ? trace.read_link(line) : trace.read_token(line);
    if (!token.ok()) return token.with_context("line " + std::to_string(number));
  }
  HOTSET_RETURN_IF_ERROR(trace.finish());
  return trace;
}

void RoutingTrace::read_header(std::string_view line) {
  if (const auto model = value_of(line, "model:"); !model.empty() && model_.empty()) model_ = model.substr(0, 120);
  if (const uint32_t layers = leading_number(value_of(line, "moe_layers:")); layers > 0) header_layers_ = layers;
  if (const uint32_t experts = leading_number(value_of(line, " experts:")); experts > 0) experts_ = experts;
}

Status RoutingTrace::read_link(std::string_view line) {
  std::string_view rest = line.substr(kLinkMark.size());
  const std::string_view name = cut(rest, ' ');
  std::array<uint64_t, 5> fields = {};  // layer, expert, bytes, start, duration
  bool good = name == "h2d" || name == "disk";
  for (uint64_t& field : fields) good = whole_number(cut(rest, ' '), field) && field <= kMostFigure && good;
  if (!good || !rest.empty() || fields[0] >= kMostLayers || fields[1] >= kMostExperts) {
    return error(Code::kCorrupt, "not a transfer: '# link h2d|disk LAYER EXPERT BYTES START_NS DURATION_NS' was expected");
  }
  const ExpertId expert = {static_cast<uint16_t>(fields[0]), static_cast<uint16_t>(fields[1])};
  links_.push_back({name == "h2d" ? EventLink::kHostToDevice : EventLink::kDiskToHost, expert, fields[2], fields[3], fields[4]});
  return ok_status();
}

Status RoutingTrace::read_token(std::string_view line) {
  std::string_view rest = line;
  std::string_view fields[kFields - 1];
  for (std::string_view& field : fields) {
    if (rest.find('\t') == std::string_view::npos) return error(Code::kCorrupt, "not a token: it has fewer than four fields");
    field = cut(rest, '\t');
  }
  if (!whole_number(fields[0]) || !whole_number(fields[1])) return error(Code::kCorrupt, "not a token: sequence and position are no numbers");
  if (fields[2] != "p" && fields[2] != "d")
    return error(Code::kCorrupt, "'%.16s' is not a phase: p or d", std::string(fields[2].substr(0, 16)).c_str());
  uint32_t layers = 0;
  for (bool more = true; more; ++layers) {
    if (layers == kMostLayers) return error(Code::kCorrupt, "more than %u layers", kMostLayers);
    more = rest.find('|') != std::string_view::npos;
    HOTSET_RETURN_IF_ERROR(read_layer(cut(rest, '|')));
  }
  if (layers_ != 0 && layers != layers_) return error(Code::kCorrupt, "%u layers, where earlier tokens have %u", layers, layers_);
  layers_ = layers;
  return ok_status();
}

Status RoutingTrace::read_layer(std::string_view text) {
  const size_t first = ids_.size();
  if (text.empty()) return error(Code::kCorrupt, "a layer without experts");
  for (bool more = true; more;) {
    more = text.find(',') != std::string_view::npos;
    const std::string_view word = cut(text, ',');
    const auto id = whole_number(word);
    if (!id || *id >= kMostExperts) return error(Code::kCorrupt, "'%.16s' is not an expert", std::string(word.substr(0, 16)).c_str());
    if (std::find(ids_.begin() + static_cast<std::ptrdiff_t>(first), ids_.end(), *id) != ids_.end())
      return error(Code::kCorrupt, "expert %u twice in a layer", *id);
    ids_.push_back(static_cast<uint16_t>(*id));
    largest_id_ = std::max(largest_id_, *id);
  }
  top_k_ = std::max(top_k_, static_cast<uint32_t>(ids_.size() - first));
  starts_.push_back(ids_.size());
  return ok_status();
}

Status RoutingTrace::finish() {
  if (layers_ == 0) return error(Code::kCorrupt, "no tokens");
  if (header_layers_ != 0 && header_layers_ != layers_)
    return error(Code::kCorrupt, "the header speaks of %u layers and the tokens have %u", header_layers_, layers_);
  if (experts_ == 0) experts_ = largest_id_ + 1;
  if (largest_id_ >= experts_ || experts_ > kMostExperts)
    return error(Code::kCorrupt, "expert %u, where the header speaks of %u experts", largest_id_, experts_);
  const bool strange = std::any_of(links_.begin(), links_.end(), [this](const LinkEvent& event) {
    return event.expert.layer >= layers_ || event.expert.expert >= experts_;
  });
  if (strange) return error(Code::kCorrupt, "a transfer of an expert that the model has not");
  if (uint64_t{layers_} * experts_ > kMostInAll)
    return error(Code::kCorrupt, "%u layers of %u experts are more than any model has", layers_, experts_);
  return ok_status();
}

}  // namespace hotset
