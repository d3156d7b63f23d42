// out of each head = the transpose of its matrix [cols][rows] times its x. One subgroup: x = a run of outputs, y = token, z = head.
//
// SHARE lanes sum the same outputs: lane l takes inputs l, l + SHARE, ... in order, then the lanes' sums meet. Of quantised
// rows a lane owns a group of 32 outputs, else one.
#version 460
#extension GL_GOOGLE_include_directive : require
#define HOTSET_PUSH MatmulHeadsPush p
#include "shaders/lanes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 8;
layout(constant_id = 1) const uint SHARE = 1;
layout(constant_id = 2) const uint TYPE = kF32;

const bool kPlain = TYPE == kF32 || TYPE == kF16 || TYPE == kBF16;

float met(float sum) {
  [[unroll]] for (uint apart = kLanes / 2; apart >= kLanes / SHARE && apart > 0; apart /= 2) sum += subgroupShuffle(sum, gl_SubgroupInvocationID ^ apart);
  return sum;
}

void main() {
  if (stopped(p.control)) return;
  const uint64_t token = gl_WorkGroupID.y, head = gl_WorkGroupID.z;
  // Lanes of one share lie apart, so that neighbours read neighbouring outputs.
  const uint lane = gl_SubgroupInvocationID % (kLanes / SHARE), mine = gl_SubgroupInvocationID / (kLanes / SHARE);
  const uint unit = gl_WorkGroupID.x * (kLanes / SHARE) + lane;
  const uint units = kPlain ? p.rows : p.rows / 32;
  const uint at = min(unit, units - 1);  // past the last a lane repeats it: the subgroup stays whole
  const uint64_t weight = p.weight + head * p.cols * p.row_bytes;
  Floats x = Floats(p.x + 4ul * (token * p.x_stride + head * p.x_head_stride));
  Floats to = Floats(p.out_ + 4ul * (token * p.out_stride + head * p.out_head_stride));
  const bool writes = unit < units && mine == 0;
  if (kPlain) {
    float sum = 0;
    for (uint c = mine; c < p.cols; c += SHARE) sum = fma(weight_at(TYPE, weight + uint64_t(c) * p.row_bytes, at), x.v[c], sum);
    sum = met(sum);
    if (writes) to.v[at] = sum;
    return;
  }
  vec4 sums[8];
  [[unroll]] for (uint i = 0; i < 8; ++i) sums[i] = vec4(0);
  for (uint c = mine; c < p.cols; c += SHARE) {
    vec4 w[8];
    expand32(TYPE, weight + uint64_t(c) * p.row_bytes, at, w);
    [[unroll]] for (uint i = 0; i < 8; ++i) sums[i] = fma(w[i], vec4(x.v[c]), sums[i]);
  }
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      const float sum = met(sums[i][j]);
      if (writes) to.v[32 * at + 4 * i + j] = sum;
    }
  }
}
