#version 460
// matmul.comp for GPUs. Workgroup: kInvocations; x: kTileRows rows, y: kTokens tokens.
#extension GL_GOOGLE_include_directive : require
#define HOTSET_PUSH MatmulPush push
#include "shaders/tiled.glsl"

layout(constant_id = 4) const uint kType = kQ4_K;

void main() {
  if (stopped(push.control)) return;
  const uint first_row = gl_WorkGroupID.x * kTileRows;
  const uint first_token = gl_WorkGroupID.y * kTokens;
  float sums[kRows][kTokensEach];
  clear_sums(sums);
  for (uint group = 0; group < push.cols / 32; ++group) {
    for (uint row = gl_LocalInvocationID.x; row < kTileRows; row += kInvocations) {
      vec4 w[8];
      expand32(kType, push.weight + uint64_t(min(first_row + row, push.rows - 1)) * push.row_bytes, group, w);
      keep_weights(row, w);
    }
    for (uint i = gl_LocalInvocationID.x; i < 32 * kTokens; i += kInvocations) {
      const uint64_t x = push.x + uint64_t(min(first_token + i / 32, push.n - 1)) * push.cols * 4;
      activation_tile[i % 32 * kPitch + i / 32] = Floats(x).v[32 * group + i % 32];
    }
    add_tile(sums);
  }
  [[unroll]] for (uint t = 0; t < kTokensEach; ++t) {
    const uint token = first_token + token_group() * kTokensEach + t;
    const uint64_t at = uint64_t(token) * push.rows * 4;
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      const uint row = first_row + r * kRowGroups + row_group();
      if (row >= push.rows || token >= push.n) continue;
      float value = sums[r][t];
      if (push.residual != 0) value += Floats(push.residual + at).v[row];
      Floats(push.out_values + at).v[row] = value;
    }
  }
}
