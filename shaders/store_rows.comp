// Cache row (position + t) / every = row t of x, of the last position of every row. x = a run of columns, y = token.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lanes.glsl"
#include "shaders/cache_element.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool HALF_CACHE = true;
layout(push_constant, scalar) uniform Push { StoreRowsPush p; };

void main() {
  const Control control = ControlBlock(p.control).v;
  const uint i = gl_GlobalInvocationID.x, token = gl_WorkGroupID.y, position = control.position + token;
  if (control.stop != 0 || i >= p.cols || position >= p.context_tokens || (position + 1) % p.every != 0) return;
  const uint64_t row = p.cache + uint64_t(position / p.every) * p.row_stride * (HALF_CACHE ? 2 : 4);
  store(row, i, HALF_CACHE, Floats(p.x + 4ul * token * p.x_stride).v[i]);
}
