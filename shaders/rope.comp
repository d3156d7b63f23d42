// Turns pairs of dims of each head by a table of (cos, sin). x = a run of pairs, head after head, y = token.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/blocks.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool ADJACENT = false;  // pairs (2 i, 2 i + 1), else (i, i + pairs)
layout(constant_id = 2) const bool INVERSE = false;
layout(push_constant, scalar) uniform Push { RopePush p; };

void main() {
  const uint index = gl_GlobalInvocationID.x, token = gl_WorkGroupID.y;
  if (stopped(p.control) || index >= p.heads * p.pairs) return;
  const uint i = index % p.pairs;
  Floats head = Floats(p.x + 4ul * (uint64_t(token) * p.x_stride + index / p.pairs * p.head_stride + p.first));
  Floats turn = Floats(p.table + 8ul * (uint64_t(token) * p.pairs + i));
  const uint first = ADJACENT ? 2 * i : i, second = ADJACENT ? 2 * i + 1 : i + p.pairs;
  const float a = head.v[first], b = head.v[second];
  const float cosine = turn.v[0], sine = INVERSE ? -turn.v[1] : turn.v[1];
  head.v[first] = a * cosine - b * sine;
  head.v[second] = a * sine + b * cosine;
}
