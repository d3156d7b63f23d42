#include "runtime/text/merge_table.h"

#include <algorithm>
#include <bit>

#include "platform/check.h"

namespace hotset {

namespace {

constexpr uint32_t kEnd = ~0u;

uint64_t key_of(TokenId left, TokenId right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// The finaliser of splitmix64: spreads every bit of the key.
uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ x >> 27) * 0x94D049BB133111EBull;
  return x ^ x >> 31;
}

}  // namespace

MergeTable::MergeTable(size_t merge_count) : entries_(std::bit_ceil(merge_count * 2 + 2)) {}

size_t MergeTable::slot_of(uint64_t key) const {
  const size_t mask = entries_.size() - 1;
  size_t slot = mix(key) & mask;
  while (entries_[slot].key != key && entries_[slot].key != kEmpty) slot = (slot + 1) & mask;
  return slot;
}

void MergeTable::add(TokenId left, TokenId right, Merge merge) {
  HOTSET_CHECK(left >= 0 && right >= 0);
  Entry& entry = entries_[slot_of(key_of(left, right))];
  if (entry.key == kEmpty) entry = {key_of(left, right), merge};
}

const Merge* MergeTable::find(TokenId left, TokenId right) const {
  const Entry& entry = entries_[slot_of(key_of(left, right))];
  return entry.key == kEmpty ? nullptr : &entry.merge;
}

void WordMerger::consider(uint32_t left) {
  const uint32_t right = nodes_[left].next;
  if (right == kEnd) return;
  const Merge* merge = table_.find(nodes_[left].id, nodes_[right].id);
  if (merge == nullptr) return;
  heap_.push_back({merge->rank, left, nodes_[left].id, nodes_[right].id, merge->result});
  std::push_heap(heap_.begin(), heap_.end(), [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  });
}

void WordMerger::merge(std::vector<TokenId>& symbols) {
  HOTSET_CHECK(symbols.size() < kEnd);
  const auto count = static_cast<uint32_t>(symbols.size());
  if (count < 2) return;
  nodes_.clear();
  heap_.clear();
  for (uint32_t i = 0; i < count; ++i) nodes_.push_back({symbols[i], i == 0 ? kEnd : i - 1, i + 1 == count ? kEnd : i + 1});
  for (uint32_t i = 0; i + 1 < count; ++i) consider(i);

  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), [](const Candidate& a, const Candidate& b) {
      return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
    });
    const Candidate best = heap_.back();
    heap_.pop_back();
    // A candidate is stale once either side has merged with another neighbour.
    Node& left = nodes_[best.left];
    if (left.id != best.left_id || left.next == kEnd || nodes_[left.next].id != best.right_id) continue;
    Node& right = nodes_[left.next];
    left.id = best.result;
    right.id = kNoToken;
    left.next = right.next;
    if (left.next != kEnd) nodes_[left.next].previous = best.left;
    if (left.previous != kEnd) consider(left.previous);
    consider(best.left);
  }

  symbols.clear();
  for (uint32_t i = 0; i != kEnd; i = nodes_[i].next) symbols.push_back(nodes_[i].id);
}

}  // namespace hotset
