// Scores of the positions that attention may be limited to (SelectShape in runtime/compute/ops.h): of blocks of them, the best of each.
// x = a run of blocks, one a lane; y = token of the tile; z = mask. Blocks that are all chosen anyway get none.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lanes.glsl"
#include "shaders/cache_element.glsl"

layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 1) const uint DIM = 64;        // a multiple of 8
layout(constant_id = 2) const bool HALF_CACHE = true;
layout(constant_id = 3) const bool TOGETHER = true;
layout(constant_id = 4) const uint CHUNK = 1;       // heads that share the loads of a key; divides those of a mask
layout(push_constant, scalar) uniform Push { SelectPush p; };

// `heads` queries from q on, with the weights from `weights` on, and one key.
float score_of(uint64_t key, uint64_t q, uint64_t weights, uint heads) {
  float total = 0;
  for (uint head = 0; head < heads; head += CHUNK) {
    float sums[CHUNK];
    [[unroll]] for (uint c = 0; c < CHUNK; ++c) sums[c] = 0;
    for (uint d = 0; d < DIM; d += 8) {
      float k[8];
      load_eight(key, d, HALF_CACHE, k);
      [[unroll]] for (uint c = 0; c < CHUNK; ++c) {
        Vec4s four = Vec4s(q + 4ul * ((head + c) * DIM + d));
        const vec4 low = four.v[0], high = four.v[1];
        [[unroll]] for (uint i = 0; i < 4; ++i) sums[c] = fma(low[i], k[i], sums[c]);
        [[unroll]] for (uint i = 0; i < 4; ++i) sums[c] = fma(high[i], k[4 + i], sums[c]);
      }
    }
    [[unroll]] for (uint c = 0; c < CHUNK; ++c) total += TOGETHER ? Floats(weights).v[head + c] * max(sums[c], 0.0) : sums[c];
  }
  return total;
}

void main() {
  const Control control = ControlBlock(p.control).v;
  const uint block = gl_GlobalInvocationID.x, token = p.first_token + gl_WorkGroupID.y, mask = gl_WorkGroupID.z;
  const uint seen = min((control.position + token + 1) / p.every, p.context_tokens), seen_blocks = (seen + p.block - 1) / p.block;
  if (control.stop != 0 || seen_blocks <= p.top_k || block >= seen_blocks) return;
  const uint heads = TOGETHER ? p.heads : 1;
  const uint64_t q = p.q + 4ul * (uint64_t(token) * p.q_stride + mask * DIM);
  const uint64_t weights = p.weights + 4ul * token * p.weight_stride;
  const uint end = min((block + 1) * p.block, seen);
  float best = uintBitsToFloat(0xff800000u);
  for (uint position = block * p.block; position < end; ++position) {
    best = max(best, score_of(p.keys + uint64_t(position) * DIM * (HALF_CACHE ? 2 : 4), q, weights, heads));
  }
  Floats(p.scores + 4ul * (uint64_t(gl_WorkGroupID.y) * gl_NumWorkGroups.z + mask) * p.blocks).v[block] = best;
}
