#include "runtime/text/merge_rules.h"

namespace hotset {

namespace {

struct RankedMerge {
  TokenId left;
  TokenId right;
  TokenId result;
};

// Every way to cut token `id` into two tokens.
void append_cuts(const std::string& text, TokenId id, const TextIndex& ids, std::vector<RankedMerge>& merges) {
  for (size_t cut = 1; cut < text.size(); ++cut) {
    if ((static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) continue;
    const auto left = ids.find(std::string_view(text).substr(0, cut));
    if (left == ids.end()) continue;
    const auto right = ids.find(std::string_view(text).substr(cut));
    if (right != ids.end()) merges.push_back({left->second, right->second, id});
  }
}

}  // namespace

Result<MergeTable> merges_of_list(const Vocabulary& vocabulary, const TextIndex& ids) {
  MergeTable table(vocabulary.merges.size());
  std::string joined;
  for (size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const std::string_view merge = vocabulary.merges[i];
    // No kind of tokenizer writes spaces into its tokens, so the first space is the only one.
    const size_t space = merge.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == merge.size()) {
      return error(Code::kCorrupt, "vocabulary: merge %zu ('%s') is not two tokens", i, shown_token(merge).c_str());
    }
    joined.assign(merge.substr(0, space)).append(merge.substr(space + 1));
    const auto left = ids.find(merge.substr(0, space));
    const auto right = ids.find(merge.substr(space + 1));
    const auto result = ids.find(joined);
    if (left == ids.end() || right == ids.end() || result == ids.end()) {
      return error(Code::kCorrupt, "vocabulary: merge %zu ('%s') names a token that does not exist",
                   i, shown_token(merge).c_str());
    }
    table.add(left->second, right->second, {static_cast<uint32_t>(i), result->second});
  }
  return table;
}

MergeTable merges_of_ranks(const Vocabulary& vocabulary, const TextIndex& ids) {
  std::vector<RankedMerge> merges;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    if (vocabulary.type_of(i) == TokenType::kNormal) append_cuts(vocabulary.tokens[i], static_cast<TokenId>(i), ids, merges);
  }
  MergeTable table(merges.size());
  for (const RankedMerge& merge : merges) {
    table.add(merge.left, merge.right, {static_cast<uint32_t>(merge.result), merge.result});
  }
  return table;
}

}  // namespace hotset
