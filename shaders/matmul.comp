#version 460
// out[t][r] = w[r] x[t] (+ residual[t][r]) for many tokens. Workgroup: one subgroup, for kLanes * kRows rows (y) and kTokens
// tokens (x, z: the tiles of x run together, so their activations stay cached while the rows go by).
#extension GL_GOOGLE_include_directive : require
#define HOTSET_PUSH MatmulPush push
#include "shaders/tile.glsl"

layout(constant_id = 3) const uint kType = kQ4_K;

void main() {
  if (stopped(push.control)) return;
  const uint first_row = gl_WorkGroupID.y * kRows * kLanes + gl_LocalInvocationID.x;
  const uint first_token = (gl_WorkGroupID.z * gl_NumWorkGroups.x + gl_WorkGroupID.x) * kTokens;
  if (first_token >= push.n) return;
  uint64_t rows[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) rows[r] = push.weight + uint64_t(min(first_row + r * kLanes, push.rows - 1)) * push.row_bytes;
  uint64_t x[kTokens];
  [[unroll]] for (uint t = 0; t < kTokens; ++t) x[t] = push.x + uint64_t(min(first_token + t, push.n - 1)) * push.cols * 4;
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
      if (row >= push.rows || first_token + t >= push.n) continue;
      const uint64_t at = uint64_t(first_token + t) * push.rows * 4;
      float value = sums[t][r];
      if (push.residual != 0) value += Floats(push.residual + at).v[row];
      Floats(push.out_values + at).v[row] = value;
    }
  }
}
