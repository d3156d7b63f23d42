#version 460
// parts[pair] = down hidden[pair] + bias for the pairs of one expert tile.
#extension GL_GOOGLE_include_directive : require
#include "shaders/expert_batch.glsl"
#include "shaders/expert_form.glsl"

layout(constant_id = 3) const uint kType = kQ4_K;
layout(constant_id = 6) const uint FORM = 0;

void main() {
  if (stopped(push.control)) return;
  const ExpertTile tile = Tiles(push.tiles).v[gl_WorkGroupID.y];
  const uint first_row = gl_WorkGroupID.x * kRows * kLanes + gl_LocalInvocationID.x;
  uint64_t rows[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) rows[r] = row_address(tile, push.first_offset, first_row + r * kLanes, push.first_row_bytes);
  uint pairs[kTokens];
  load_pairs(tile, pairs);
  uint64_t x[kTokens];
  [[unroll]] for (uint t = 0; t < kTokens; ++t) x[t] = push.x + uint64_t(pairs[t]) * push.cols * 4;
  float sums[kTokens][kRows];
  clear_sums(sums);
  for (uint group = 0; group < push.cols / 32; ++group) {
    vec4 w[kRows][8];
    [[unroll]] for (uint r = 0; r < kRows; ++r) expand32(kType, rows[r], group, w[r]);
    add_group(x, group, w, sums);
  }
  [[unroll]] for (uint t = 0; t < kTokens; ++t) {
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      const uint row = first_row + r * kLanes;
      if (row >= push.rows || t >= tile.pair_count) continue;
      float value = sums[t][r];
      if ((FORM & kExpertDownBias) != 0) value += Floats(tile.expert + push.bias_offset).v[row];
      Floats(push.out_values + uint64_t(pairs[t]) * push.rows * 4).v[row] = value;
    }
  }
}
