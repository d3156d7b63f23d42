#include "runtime/text/tiktoken_ranks.h"

#include <charconv>
#include <cstdint>
#include <unordered_map>

#include "runtime/text/byte_alphabet.h"

namespace hotset {
namespace {

constexpr uint32_t kMostTokens = 1u << 20;
constexpr size_t kMostTokenBytes = 1024;  // the longest published ones are 128 blanks

using RankOf = std::unordered_map<std::string_view, uint32_t>;

int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool decode_base64(std::string_view text, std::string& out) {
  out.clear();
  while (text.ends_with('=')) text.remove_suffix(1);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = value_of(c);
    if (value < 0) return false;
    bits = (bits << 6 | static_cast<uint32_t>(value)) & 0xffffffu;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>(bits >> count & 255));
  }
  return !out.empty() && out.size() <= kMostTokenBytes;
}

std::string in_alphabet(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += byte_alphabet_character(static_cast<uint8_t>(byte));
  return text;
}

// Where the pair begins that merges first; parts.size() where none does.
size_t first_merge(const std::vector<std::string_view>& parts, const RankOf& ranks, uint32_t below) {
  size_t best = parts.size();
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const auto found = ranks.find(std::string_view(parts[i].data(), parts[i].size() + parts[i + 1].size()));
    if (found == ranks.end() || found->second >= below) continue;
    below = found->second;
    best = i;
  }
  return best;
}

// The two tokens that a token is made of in the end; empty where merges with lower ranks do not lead there.
std::string pair_of(std::string_view token, uint32_t rank, const RankOf& ranks) {
  std::vector<std::string_view> parts;
  for (size_t i = 0; i < token.size(); ++i) parts.push_back(token.substr(i, 1));
  for (size_t at = first_merge(parts, ranks, rank); at < parts.size(); at = first_merge(parts, ranks, rank)) {
    parts[at] = std::string_view(parts[at].data(), parts[at].size() + parts[at + 1].size());
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
  return parts.size() == 2 ? in_alphabet(parts[0]) + " " + in_alphabet(parts[1]) : "";
}

Result<std::vector<std::string>> read_lines(std::string_view text) {
  std::vector<std::string> tokens;
  std::string bytes;
  for (size_t line = 1; !text.empty(); ++line) {
    std::string_view entry = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(entry.size() + 1, text.size()));
    if (entry.ends_with('\r')) entry.remove_suffix(1);
    if (entry.empty()) continue;
    const size_t blank = entry.find(' ');
    uint32_t rank = 0;
    const char* end = entry.data() + entry.size();
    const bool whole = blank != std::string_view::npos && decode_base64(entry.substr(0, blank), bytes) &&
                       std::from_chars(entry.data() + blank + 1, end, rank).ptr == end && rank < kMostTokens;
    if (!whole || (rank < tokens.size() && !tokens[rank].empty())) return error(Code::kCorrupt, "tiktoken.model: line %zu is no token and rank", line);
    if (rank >= tokens.size()) tokens.resize(rank + 1);
    tokens[rank] = bytes;
  }
  return tokens;
}

}  // namespace

Result<TiktokenRanks> read_tiktoken_ranks(std::string_view text) {
  HOTSET_ASSIGN(const auto tokens, read_lines(text));
  RankOf ranks;
  for (uint32_t i = 0; i < tokens.size(); ++i) {
    if (!tokens[i].empty() && !ranks.emplace(tokens[i], i).second) return error(Code::kCorrupt, "tiktoken.model: the token of rank %u is there twice", i);
  }
  TiktokenRanks read;
  for (uint32_t i = 0; i < tokens.size(); ++i) {
    read.tokens.push_back(in_alphabet(tokens[i]));
    std::string pair = tokens[i].size() > 1 ? pair_of(tokens[i], i, ranks) : "";
    if (!pair.empty()) read.merges.push_back(std::move(pair));
  }
  return read;
}

}  // namespace hotset
