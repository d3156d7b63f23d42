// out += x. x = a run of values.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"

layout(local_size_x_id = 0) in;
layout(push_constant, scalar) uniform Push { AddPush p; };

void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (stopped(p.control) || i >= p.count) return;
  Floats(p.out_).v[i] += Floats(p.x).v[i];
}
