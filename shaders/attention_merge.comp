#version 460
// Joins the splits of attention.comp: out = sum of parts, each weighed by its own maximum. Workgroup: one subgroup; x: row
// (token, head). A split past the context has weight 0 and the lowest maximum, so it adds nothing.
#extension GL_GOOGLE_include_directive : require
#include "shaders/lanes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 8;
layout(constant_id = 1) const uint kValueDim = 64;
layout(constant_id = 2) const uint kSplits = 1;

layout(push_constant, scalar) uniform Push { AttentionPush push; };

void main() {
  if (stopped(push.control)) return;
  const uint row = gl_WorkGroupID.x;
  const uint64_t parts = push.parts + uint64_t(row) * kSplits * (kValueDim + 2) * 4;
  float top = Floats(parts).v[kValueDim];
  for (uint s = 1; s < kSplits; ++s) top = max(top, Floats(parts).v[s * (kValueDim + 2) + kValueDim]);
  float weight = 0;
  if (push.sinks != 0) {
    const float sink = Floats(push.sinks).v[row % push.heads];
    top = max(top, sink);
    weight = exp(sink - top);
  }
  for (uint s = 0; s < kSplits; ++s) {
    const uint at = s * (kValueDim + 2) + kValueDim;
    weight += Floats(parts).v[at + 1] * exp(Floats(parts).v[at] - top);
  }
  for (uint d = gl_LocalInvocationID.x; d < kValueDim; d += kLanes) {
    float sum = 0;
    for (uint s = 0; s < kSplits; ++s) {
      const uint at = s * (kValueDim + 2);
      sum += Floats(parts).v[at + d] * exp(Floats(parts).v[at + kValueDim] - top);
    }
    Floats(push.out_values + uint64_t(row) * kValueDim * 4).v[d] = weight == 0 ? 0.0 : sum / weight;
  }
}
