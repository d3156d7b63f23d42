// What expert_up_batch and expert_down_batch share: the pairs of a tile. x: row tile, y: expert tile.
#define HOTSET_PUSH ExpertBatchPush push
#include "shaders/tile.glsl"

layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Tiles { ExpertTile v[]; };

// The pairs of the tile; places past its end repeat the last one.
void load_pairs(ExpertTile tile, out uint pairs[kTokens]) {
  [[unroll]] for (uint t = 0; t < kTokens; ++t) pairs[t] = Words(push.pairs).v[tile.first_pair + min(t, tile.pair_count - 1)];
}

uint64_t row_address(ExpertTile tile, uint offset, uint row, uint row_bytes) {
  return tile.expert + offset + uint64_t(min(row, push.rows - 1)) * row_bytes;
}
