// out = norm of a group of cols values, times weight, plus bias. One workgroup a group: x = group, y = row. In place each lane
// writes only what it alone reads after the sums.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"
#include "shaders/reduce.glsl"

layout(constant_id = 2) const uint KIND = 0;  // NormKind of runtime/compute/ops.h
layout(push_constant, scalar) uniform Push { NormPush p; };

const uint kRms = 0;
const uint kLayer = 1;

void main() {
  if (stopped(p.control)) return;
  const uint lane = gl_SubgroupID * SUBGROUP + gl_SubgroupInvocationID;
  const uint group = gl_WorkGroupID.x;
  const uint64_t row = gl_WorkGroupID.y, first = uint64_t(group) * p.cols;
  Floats x = Floats(p.x + 4ul * (row * p.x_stride + first)), to = Floats(p.out_ + 4ul * (row * p.out_stride + first));
  float mean = 0;
  if (KIND == kLayer) {
    float sum = 0;
    for (uint i = lane; i < p.cols; i += WORKGROUP) sum += x.v[i];
    mean = workgroup_sum(sum) / float(p.cols);
  }
  float squares = 0;
  for (uint i = lane; i < p.cols; i += WORKGROUP) squares = fma(x.v[i] - mean, x.v[i] - mean, squares);
  squares = workgroup_sum(squares);
  const float scale = KIND == kRms || KIND == kLayer ? 1.0 / sqrt(squares / float(p.cols) + p.eps) : 1.0 / max(sqrt(squares), p.eps);
  const uint64_t offset = 4ul * group * p.weight_stride;
  for (uint i = lane; i < p.cols; i += WORKGROUP) {
    float value = (x.v[i] - mean) * scale;
    if (p.weight != 0) value *= Floats(p.weight + offset).v[i];
    if (p.bias != 0) value += Floats(p.bias + offset).v[i];
    to.v[i] = value;
  }
}
