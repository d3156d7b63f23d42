// out = x / sqrt(mean(x^2) + eps) * weight. One workgroup a row (x = row).
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"
#include "shaders/reduce.glsl"

layout(push_constant, scalar) uniform Push { RmsNormPush p; };

void main() {
  if (stopped(p.control)) return;
  const uint lane = gl_SubgroupID * SUBGROUP + gl_SubgroupInvocationID;
  const uint64_t offset = 4ul * gl_WorkGroupID.x * p.cols;
  Floats x = Floats(p.x + offset), weight = Floats(p.weight), to = Floats(p.out_ + offset);
  float squares = 0;
  for (uint i = lane; i < p.cols; i += WORKGROUP) squares = fma(x.v[i], x.v[i], squares);
  const float scale = 1.0 / sqrt(workgroup_sum(squares) / float(p.cols) + p.eps);
  for (uint i = lane; i < p.cols; i += WORKGROUP) to.v[i] = x.v[i] * scale * weight.v[i];
}
