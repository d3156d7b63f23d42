#include "runtime/text/token_trie.h"

#include <algorithm>

namespace hotset {

TokenTrie::TokenTrie(std::vector<Entry> entries) : nodes_(1), from_root_(256, 0) {
  std::erase_if(entries, [](const Entry& entry) { return entry.text.empty(); });
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.text < b.text; });
  std::vector<Open> todo{{0, 0, entries.size(), 0}};
  while (!todo.empty()) {
    const Open open = todo.back();
    todo.pop_back();
    expand(entries, open, todo);
  }
  for (uint32_t i = 0; i < nodes_[0].edge_count; ++i) from_root_[edges_[i].byte] = edges_[i].target;
}

void TokenTrie::expand(const std::vector<Entry>& sorted, const Open& open, std::vector<Open>& todo) {
  size_t begin = open.begin;
  for (; begin < open.end && sorted[begin].text.size() == open.depth; ++begin) {
    if (nodes_[open.node].id == kNoToken) nodes_[open.node].id = sorted[begin].id;
  }
  nodes_[open.node].first_edge = static_cast<uint32_t>(edges_.size());
  while (begin < open.end) {
    const char byte = sorted[begin].text[open.depth];
    size_t end = begin + 1;
    while (end < open.end && sorted[end].text[open.depth] == byte) ++end;
    const auto target = static_cast<uint32_t>(nodes_.size());
    nodes_.emplace_back();
    edges_.push_back({static_cast<uint8_t>(byte), target});
    todo.push_back({target, begin, end, open.depth + 1});
    begin = end;
  }
  nodes_[open.node].edge_count = static_cast<uint32_t>(edges_.size()) - nodes_[open.node].first_edge;
}

uint32_t TokenTrie::child(uint32_t node, uint8_t byte) const {
  if (node == 0) return from_root_[byte];
  const auto begin = edges_.begin() + nodes_[node].first_edge;
  const auto end = begin + nodes_[node].edge_count;
  const auto place = std::lower_bound(begin, end, byte, [](const Edge& edge, uint8_t value) { return edge.byte < value; });
  return place != end && place->byte == byte ? place->target : 0;
}

TokenTrie::Match TokenTrie::longest(std::string_view text) const {
  Match best;
  for_each_prefix(text, [&](size_t size_bytes, TokenId id) { best = {size_bytes, id}; });
  return best;
}

}  // namespace hotset
