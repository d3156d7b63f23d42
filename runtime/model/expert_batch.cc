#include "runtime/model/expert_batch.h"

#include <algorithm>

#include "platform/check.h"

namespace hotset {

ExpertBatch::ExpertBatch(uint32_t experts, uint32_t max_pairs)
    : first_(experts + 1), cursor_(experts), pairs_(max_pairs), order_(experts) {}

void ExpertBatch::sort_pairs(std::span<const uint32_t> ids) {
  HOTSET_CHECK(ids.size() <= pairs_.size());
  std::fill(cursor_.begin(), cursor_.end(), 0);
  for (const uint32_t id : ids) ++cursor_[id];
  first_[0] = 0;
  for (size_t e = 0; e < cursor_.size(); ++e) {
    first_[e + 1] = first_[e] + cursor_[e];
    cursor_[e] = first_[e];
  }
  for (uint32_t pair = 0; pair < ids.size(); ++pair) pairs_[cursor_[ids[pair]]++] = pair;
  pair_count_ = static_cast<uint32_t>(ids.size());
}

uint32_t ExpertBatch::write_tiles(uint16_t expert, uint64_t address, uint32_t tile_pairs, std::span<shaders::ExpertTile> out) const {
  uint32_t count = 0;
  for (uint32_t pair = first_[expert]; pair < first_[expert + 1u]; pair += tile_pairs) {
    out[count++] = {address, pair, std::min(tile_pairs, first_[expert + 1u] - pair)};
  }
  return count;
}

uint32_t ExpertBatch::max_tiles(uint32_t experts, uint32_t max_pairs, uint32_t tile_pairs) {
  return std::min(max_pairs, max_pairs / tile_pairs + experts);
}

}  // namespace hotset
