// MergeTable: which two tokens merge into which, and how early.
//
// An open-addressed hash of (left, right). Filled by one thread, then read by any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/text/token.h"

namespace hotset {

struct Merge {
  uint32_t rank = 0;  // lower ranks merge first
  TokenId result = kNoToken;
};

class MergeTable {
 public:
  MergeTable() : MergeTable(0) {}
  explicit MergeTable(size_t merge_count);

  // Adds a merge, at most `merge_count` of them; of the same pair the first stays.
  void add(TokenId left, TokenId right, Merge merge);

  // The merge of the pair, or nullptr.
  const Merge* find(TokenId left, TokenId right) const;

 private:
  struct Entry {
    uint64_t key = kEmpty;
    Merge merge;
  };
  static constexpr uint64_t kEmpty = ~0ull;  // no pair of tokens: ids are not negative

  size_t slot_of(uint64_t key) const;

  std::vector<Entry> entries_;  // power of two, at most half full
};

// Merges the symbols of one word. Holds scratch that grows to the longest word; one thread at a time.
class WordMerger {
 public:
  explicit WordMerger(const MergeTable& table) : table_(table) {}

  // Replaces neighbours by their merge, lowest rank first and leftmost of equals, until none is left.
  // O(n log n) in the word's length. `symbols` becomes shorter.
  void merge(std::vector<TokenId>& symbols);

 private:
  struct Node {
    TokenId id;  // kNoToken once merged into its left neighbour
    uint32_t previous;
    uint32_t next;
  };
  struct Candidate {
    uint32_t rank;
    uint32_t left;  // index of the left node
    TokenId left_id;
    TokenId right_id;
    TokenId result;
  };

  void consider(uint32_t left);

  const MergeTable& table_;
  std::vector<Node> nodes_;
  std::vector<Candidate> heap_;
};

}  // namespace hotset
