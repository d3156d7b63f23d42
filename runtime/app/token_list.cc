#include "runtime/app/token_list.h"

#include <charconv>

#include "platform/file.h"

namespace hotset {
namespace {

constexpr uint64_t kMostFileBytes = 256u << 20;
constexpr std::string_view kSeparators = ", \t\r\n";

Result<hotset_token> parse_id(std::string_view item) {
  hotset_token id = 0;
  const auto [end, ec] = std::from_chars(item.data(), item.data() + item.size(), id);
  if (ec != std::errc() || end != item.data() + item.size() || id < 0) {
    return error(Code::kInvalidArgument, "'%.*s' is not a token id: write 1,2,3 or @FILE",
                 static_cast<int>(std::min<size_t>(item.size(), 40)), item.data());
  }
  return id;
}

}  // namespace

Result<std::vector<hotset_token>> parse_token_list(std::string_view text) {
  std::vector<hotset_token> ids;
  for (size_t at = text.find_first_not_of(kSeparators); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    HOTSET_ASSIGN(const hotset_token id, parse_id(text.substr(at, end - at)));
    ids.push_back(id);
    at = text.find_first_not_of(kSeparators, end);
  }
  if (ids.empty()) return error(Code::kInvalidArgument, "there are no token ids: write 1,2,3 or @FILE");
  return ids;
}

std::string token_list_text(std::span<const hotset_token> ids) {
  std::string text;
  for (const hotset_token id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

Result<std::vector<hotset_token>> load_token_list(const std::string& argument) {
  if (!argument.starts_with('@')) return parse_token_list(argument);
  const std::string path = argument.substr(1);
  HOTSET_ASSIGN(const std::string content, read_whole_file(path, kMostFileBytes));
  auto ids = parse_token_list(content);
  if (!ids.ok()) return ids.status().with_context("'" + path + "'");
  return ids;
}

std::string token_list_flaw(const std::string& argument) {
  return argument.starts_with('@') ? std::string() : parse_token_list(argument).status().message();
}

}  // namespace hotset
