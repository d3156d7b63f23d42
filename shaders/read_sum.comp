// out = the sum of the words that each subgroup reads, modulo 2^32: how fast memory can be read. A workgroup
// reads steps * WORKGROUP * kReadDepth neighbouring quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"
#include "shaders/reduce.glsl"

layout(push_constant, scalar) uniform Push { ReadSumPush p; };
layout(buffer_reference, scalar, buffer_reference_align = 4) writeonly buffer Sums { uint v[]; };

void main() {
  const uint lane = gl_SubgroupID * SUBGROUP + gl_SubgroupInvocationID;
  uvec4 sum = uvec4(0);
  for (uint step = 0; step < p.steps; ++step) {
    const uint first = (gl_WorkGroupID.x * p.steps + step) * WORKGROUP * kReadDepth + lane;
    uvec4 quads[kReadDepth];
    [[unroll]] for (uint i = 0; i < kReadDepth; ++i) {
      const uint at = first + i * WORKGROUP;
      quads[i] = at < p.quads ? Quads(p.from).v[at] : uvec4(0);
    }
    [[unroll]] for (uint i = 0; i < kReadDepth; ++i) sum += quads[i];
  }
  const uint total = subgroupAdd(sum.x + sum.y + sum.z + sum.w);
  if (gl_SubgroupInvocationID == 0) Sums(p.out_).v[gl_WorkGroupID.x * (WORKGROUP / SUBGROUP) + gl_SubgroupID] = total;
}
