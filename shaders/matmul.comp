#version 460
// out[t][r] = w[r] x[t] (+ residual[t][r]) for many tokens. Workgroup: one subgroup, for kLanes * kRows rows (y)
// and kTokens tokens (x, z: the tiles of x run together, so their activations stay cached while the rows go by).
// A lane owns kRows rows: it expands 32 weights of each once and uses them for every token of the tile; x reaches the
// lanes as one load of 8 values and a shuffle each. Every output is summed over k in order by one lane.
#extension GL_GOOGLE_include_directive : require
#include "shaders/lanes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 8;
layout(constant_id = 1) const uint kType = kQ4_K;
layout(constant_id = 2) const uint kRows = 2;
layout(constant_id = 3) const uint kTokens = 8;

layout(push_constant, scalar) uniform Push { MatmulPush push; };

void main() {
  if (stopped(push.control)) return;
  const uint lane = gl_LocalInvocationID.x;
  const uint first_row = gl_WorkGroupID.y * kRows * kLanes + lane;
  const uint first_token = (gl_WorkGroupID.z * gl_NumWorkGroups.x + gl_WorkGroupID.x) * kTokens;
  if (first_token >= push.n) return;
  uint64_t rows[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) rows[r] = push.weight + uint64_t(min(first_row + r * kLanes, push.rows - 1)) * push.row_bytes;
  uint64_t x[kTokens];
  [[unroll]] for (uint t = 0; t < kTokens; ++t) x[t] = push.x + uint64_t(min(first_token + t, push.n - 1)) * push.cols * 4;
  float sums[kTokens][kRows];
  [[unroll]] for (uint t = 0; t < kTokens; ++t) {
    [[unroll]] for (uint r = 0; r < kRows; ++r) sums[t][r] = 0;
  }
  for (uint group = 0; group < push.cols / 32; ++group) {
    vec4 w[kRows][8];
    [[unroll]] for (uint r = 0; r < kRows; ++r) expand32(kType, rows[r], group, w[r]);
    // A copy, so that compilers that mask every store to a variable of the loop do it once a group.
    float s[kTokens][kRows];
    [[unroll]] for (uint t = 0; t < kTokens; ++t) {
      [[unroll]] for (uint r = 0; r < kRows; ++r) s[t][r] = sums[t][r];
    }
    [[unroll]] for (uint part = 0; part < 4; ++part) {
      float mine[kTokens];
      [[unroll]] for (uint t = 0; t < kTokens; ++t) mine[t] = Floats(x[t]).v[32 * group + 8 * part + (lane & 7)];
      [[unroll]] for (uint i = 0; i < 8; ++i) {
        [[unroll]] for (uint t = 0; t < kTokens; ++t) {
          const float value = subgroupShuffle(mine[t], i);
          [[unroll]] for (uint r = 0; r < kRows; ++r) s[t][r] = fma(value, w[r][2 * part + i / 4][i % 4], s[t][r]);
        }
      }
    }
    [[unroll]] for (uint t = 0; t < kTokens; ++t) {
      [[unroll]] for (uint r = 0; r < kRows; ++r) sums[t][r] = s[t][r];
    }
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
