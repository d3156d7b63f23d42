// Weighted sums of streams (MixShape in runtime/compute/ops.h). A lane has a column of all streams, so that they may change in place;
// x = a run of columns, y = token.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint INS = 4;
layout(constant_id = 2) const uint OUTS = 4;
layout(push_constant, scalar) uniform Push { MixStreamsPush p; };

void main() {
  const uint i = gl_GlobalInvocationID.x;
  const uint64_t token = gl_WorkGroupID.y;
  if (stopped(p.control) || i >= p.width) return;
  Floats from = Floats(p.x + 4ul * token * p.x_stride), weights = Floats(p.weights + 4ul * token * p.weight_stride);
  float x[INS];
  [[unroll]] for (uint s = 0; s < INS; ++s) x[s] = from.v[s * p.width + i];
  const float added = p.added != 0 ? Floats(p.added + 4ul * token * p.added_stride).v[i] : 0.0;
  [[unroll]] for (uint o = 0; o < OUTS; ++o) {
    float sum = p.added != 0 ? Floats(p.added_weights + 4ul * token * p.added_weight_stride).v[o] * added : 0.0;
    [[unroll]] for (uint s = 0; s < INS; ++s) sum = fma(weights.v[s * OUTS + o], x[s], sum);
    Floats(p.out_ + 4ul * token * p.out_stride).v[o * p.width + i] = sum;
  }
}
