// The recurrence of SelectiveScanShape (runtime/compute/ops.h), token after token. Workgroup: one subgroup; a lane keeps the state
// of one channel in registers. All channels read the same b and c: lanes load a part of them each and hand them round.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lanes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 8;
layout(constant_id = 1) const uint kStateDim = 16;
const uint kParts = (kStateDim + kLanes - 1) / kLanes;

layout(push_constant, scalar) uniform Push { SelectiveScanPush p; };

void main() {
  const Control control = ControlBlock(p.control).v;
  if (control.stop != 0) return;
  const uint lane = gl_LocalInvocationID.x;
  const uint own = gl_WorkGroupID.x * kLanes + lane;
  const uint channel = min(own, p.channels - 1);  // lanes past the last do as it does and store nothing
  const uint64_t offset = 4ul * channel * kStateDim;
  float a[kStateDim], s[kStateDim];
  [[unroll]] for (uint i = 0; i < kStateDim; ++i) {
    a[i] = Floats(p.a + offset).v[i];
    s[i] = 0;
    if (control.position != 0) s[i] = Floats(p.state + offset).v[i];
  }
  const float d = Floats(p.d).v[channel];
  for (uint t = 0; t < p.n; ++t) {
    float b[kParts], c[kParts];
    [[unroll]] for (uint w = 0; w < kParts; ++w) {
      const uint i = min(w * kLanes + lane, kStateDim - 1);
      b[w] = Floats(p.b + 4ul * t * p.b_stride).v[i];
      c[w] = Floats(p.c + 4ul * t * p.c_stride).v[i];
    }
    const float x = Floats(p.x + 4ul * t * p.x_stride).v[channel], dt = Floats(p.dt + 4ul * t * p.dt_stride).v[channel];
    float sum = d * x;
    [[unroll]] for (uint i = 0; i < kStateDim; ++i) {
      s[i] = fma(dt * x, subgroupShuffle(b[i / kLanes], i % kLanes), exp(dt * a[i]) * s[i]);
      sum = fma(subgroupShuffle(c[i / kLanes], i % kLanes), s[i], sum);
    }
    if (own < p.channels) Floats(p.out_ + 4ul * t * p.out_stride).v[channel] = sum;
  }
  [[unroll]] for (uint i = 0; i < kStateDim; ++i) {
    if (own < p.channels) Floats(p.state + offset).v[i] = s[i];
  }
}
