// ExpertBatch: the (token, slot) pairs of one layer of one prefill chunk, grouped by expert and cut into tiles.
//
// Sizes are fixed at creation; group() allocates nothing. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shaders/params.h"

namespace hotset {

class ExpertBatch {
 public:
  ExpertBatch(uint32_t experts, uint32_t max_pairs);

  // ids: [pairs], the expert of each pair token * used + slot, each below `experts`. `rank(e)` is 0 or 1: experts of
  // rank 0 come first (those that are resident, say); equal ranks keep the order of their numbers.
  template <class Rank>
  void group(std::span<const uint32_t> ids, Rank rank) {
    sort_pairs(ids);
    order_experts(rank);
  }

  // The experts that have pairs, in order, and each one's pairs.
  std::span<const uint16_t> experts() const { return {order_.data(), order_count_}; }
  std::span<const uint32_t> pairs() const { return {pairs_.data(), pair_count_}; }

  // Tiles of one expert with its record at `address`, at most `tile_pairs` pairs each, appended at out[0..]. Returns
  // how many.
  uint32_t write_tiles(uint16_t expert, uint64_t address, uint32_t tile_pairs, std::span<shaders::ExpertTile> out) const;

  // Most tiles that any grouping can need.
  static uint32_t max_tiles(uint32_t experts, uint32_t max_pairs, uint32_t tile_pairs);

 private:
  void sort_pairs(std::span<const uint32_t> ids);
  template <class Rank>
  void order_experts(Rank rank) {
    order_count_ = 0;
    for (uint32_t wanted = 0; wanted < 2; ++wanted) {
      for (uint32_t e = 0; e + 1 < first_.size(); ++e) {
        if (first_[e] != first_[e + 1] && rank(e) == wanted) order_[order_count_++] = static_cast<uint16_t>(e);
      }
    }
  }

  std::vector<uint32_t> first_;  // [experts + 1]; pairs of e are pairs_[first_[e] .. first_[e + 1])
  std::vector<uint32_t> cursor_; // [experts]
  std::vector<uint32_t> pairs_;  // [max_pairs], by expert
  std::vector<uint16_t> order_;  // [experts]
  uint32_t order_count_ = 0;
  uint32_t pair_count_ = 0;
};

}  // namespace hotset
