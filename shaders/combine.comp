#version 460
// out[t] += sum over slots s, in order, of weights[t][s] * parts[t * used + s]. Workgroup: one subgroup; x: kRuns runs
// of kLanes features, y: token.
#extension GL_GOOGLE_include_directive : require
#include "shaders/lanes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 8;
layout(constant_id = 1) const uint kRuns = 8;
layout(constant_id = 2) const uint FORM = 0;  // bits of kExpert...

layout(push_constant, scalar) uniform Push { CombinePush push; };

void main() {
  if (stopped(push.control)) return;
  const uint first = gl_WorkGroupID.x * kRuns * kLanes + gl_LocalInvocationID.x;
  const uint64_t token = gl_WorkGroupID.y;
  const uint64_t weights = push.weights + token * push.used * 4;
  const uint64_t parts = push.parts + token * push.used * push.embd * 4;
  float sums[kRuns];
  [[unroll]] for (uint run = 0; run < kRuns; ++run) sums[run] = 0;
  for (uint s = 0; s < push.used; ++s) {
    const float weight = (FORM & kExpertWeightedInput) != 0 ? 1.0 : Floats(weights).v[s];
    const uint64_t part = parts + uint64_t(s) * push.embd * 4;
    [[unroll]] for (uint run = 0; run < kRuns; ++run) sums[run] = fma(weight, Floats(part).v[min(first + run * kLanes, push.embd - 1)], sums[run]);
  }
  [[unroll]] for (uint run = 0; run < kRuns; ++run) {
    const uint feature = first + run * kLanes;
    if (feature < push.embd) Floats(push.out_values + token * push.embd * 4).v[feature] += sums[run];
  }
}
