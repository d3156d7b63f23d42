// out[t] = row tokens[t] of a table, expanded to float. One invocation a run of 32 columns; y = token.
#version 460
#extension GL_GOOGLE_include_directive : require
#define HOTSET_PUSH EmbedPush p
#include "shaders/blocks.glsl"

layout(constant_id = 0) const uint TYPE = kF32;
layout(local_size_x_id = 1, local_size_y = 1, local_size_z = 1) in;

void main() {
  if (stopped(p.control)) return;
  const uint group = gl_GlobalInvocationID.x;
  const uint token = gl_WorkGroupID.y;
  if (32 * group >= p.cols) return;
  const uint64_t row = p.table + uint64_t(p.row_bytes) * Words(p.tokens).v[token];
  Floats to = Floats(p.out_ + 4ul * token * p.cols);
  if (32 * group + 32 <= p.cols) {
    vec4 w[8];
    expand32(TYPE, row, group, w);
    [[unroll]] for (uint i = 0; i < 32; ++i) to.v[32 * group + i] = w[i / 4][i % 4];
  } else if (block_size_bytes(TYPE) <= 4) {
    for (uint k = 32 * group; k < p.cols; ++k) to.v[k] = weight_at(TYPE, row, k);
  }
}
