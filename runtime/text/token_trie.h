// TokenTrie: finds the tokens that a text begins with, byte by byte.
//
// Immutable after construction; any thread may search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/token.h"

namespace hotset {

class TokenTrie {
 public:
  struct Entry {
    std::string_view text;
    TokenId id = kNoToken;
  };
  struct Match {
    size_t size_bytes = 0;  // 0: none
    TokenId id = kNoToken;
  };

  TokenTrie() : TokenTrie(std::vector<Entry>()) {}
  // Empty texts are left out; of equal ones the first stays. The texts may go afterwards.
  explicit TokenTrie(std::vector<Entry> entries);

  bool empty() const { return nodes_.size() == 1; }

  // The longest entry that `text` begins with.
  Match longest(std::string_view text) const;

  // Calls `visit(size_bytes, id)` for every entry that `text` begins with, shortest first.
  template <class Visit>
  void for_each_prefix(std::string_view text, Visit&& visit) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<uint8_t>(text[i]));
      if (node == 0) return;
      if (nodes_[node].id != kNoToken) visit(i + 1, nodes_[node].id);
    }
  }

 private:
  struct Node {
    uint32_t first_edge = 0;
    uint32_t edge_count = 0;
    TokenId id = kNoToken;
  };
  struct Edge {
    uint8_t byte = 0;
    uint32_t target = 0;
  };

  // A node whose entries, all with `depth` bytes in common, are still to be sorted into edges.
  struct Open {
    uint32_t node;
    size_t begin;
    size_t end;
    size_t depth;
  };
  void expand(const std::vector<Entry>& sorted, const Open& open, std::vector<Open>& todo);

  // The node behind `byte`; 0, the root, when there is none.
  uint32_t child(uint32_t node, uint8_t byte) const;

  std::vector<Node> nodes_;         // [0] is the root
  std::vector<Edge> edges_;         // of one node together, by byte
  std::vector<uint32_t> from_root_;  // [256] the root's children
};

}  // namespace hotset
