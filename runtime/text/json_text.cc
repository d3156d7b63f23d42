#include "runtime/text/json_text.h"

#include <nlohmann/json.hpp>

namespace hotset {

namespace {

constexpr int kMaxDepth = 200;
constexpr std::string_view kBlanks = " \t\n\r";

// One past the string that begins at `at`.
size_t string_end(std::string_view text, size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) at += text[at] == '\\' ? 1 : 0;
  return std::min(at + 1, text.size());
}

int depth_of(std::string_view text) {
  int depth = 0;
  int most = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') at = string_end(text, at) - 1;
    else if (text[at] == '{' || text[at] == '[') most = std::max(most, ++depth);
    else if (text[at] == '}' || text[at] == ']') --depth;
  }
  return most;
}

// One past the value at `at`, which is within valid JSON.
size_t value_end(std::string_view text, size_t at) {
  int depth = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (depth == 0 && (c == ',' || c == '}' || c == ']')) return at;
    if (c == '"') at = string_end(text, at) - 1;
    else if (c == '{' || c == '[') ++depth;
    else if (c == '}' || c == ']') --depth;
  }
  return at;
}

// The parts between the brackets of a valid object or array, at its commas.
std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  text = trimmed(text.substr(1, text.size() - 2));
  for (size_t at = 0; at < text.size();) {
    const size_t end = value_end(text, at);
    parts.push_back(trimmed(text.substr(at, end - at)));
    at = end + 1;
  }
  return parts;
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

bool is_json(std::string_view text) { return depth_of(text) <= kMaxDepth && nlohmann::json::accept(text.begin(), text.end()); }

bool is_json_object(std::string_view text) { return trimmed(text).starts_with('{') && is_json(text); }

std::optional<std::vector<std::pair<std::string, std::string_view>>> json_members(std::string_view text) {
  if (!is_json_object(text)) return std::nullopt;
  std::vector<std::pair<std::string, std::string_view>> members;
  for (const std::string_view part : parts_of(trimmed(text))) {
    const size_t name_end = string_end(part, 0);
    auto name = json_unquoted(part.substr(0, name_end));
    if (!name) return std::nullopt;
    members.emplace_back(std::move(*name), trimmed(part.substr(part.find(':', name_end) + 1)));
  }
  return members;
}

std::optional<std::vector<std::string_view>> json_items(std::string_view text) {
  if (!trimmed(text).starts_with('[') || !is_json(text)) return std::nullopt;
  return parts_of(trimmed(text));
}

size_t json_extent(std::string_view text) {
  int depth = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') at = string_end(text, at) - 1;
    else if (c == '{' || c == '[') ++depth;
    else if ((c == '}' || c == ']') && --depth <= 0) return at + 1;
  }
  return text.size();
}

std::string json_quoted(std::string_view text) {
  return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<std::string> json_unquoted(std::string_view text) {
  if (!trimmed(text).starts_with('"')) return std::nullopt;
  const auto value = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

}  // namespace hotset
