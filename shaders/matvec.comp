// out[t] = w x[t] (+ residual[t]). x, z = a run of rows, y = token; every token is computed as if it were alone.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/dots.glsl"

layout(constant_id = 6) const uint TYPE = kF32;
layout(push_constant, scalar) uniform Push { MatvecPush p; };

void main() {
  if (stopped(p.control)) return;
  const uint token = gl_WorkGroupID.y;
  const uint run = gl_WorkGroupID.z * gl_NumWorkGroups.x + gl_WorkGroupID.x;
  const uint first = run * ROWS * lane_rows() + lane_row();
  uint64_t rows[kRows];
  float sums[kRows];
  // Past the last row a lane repeats it and does not write: the subgroup stays whole.
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    rows[r] = p.weights + uint64_t(min(first + r * lane_rows(), p.rows - 1)) * p.row_bytes;
    sums[r] = 0;
  }
  dot_rows(TYPE, ROWS, rows, p.x + 4ul * token * p.cols, p.cols, sums);
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    const uint row = first + r * lane_rows();
    if (row >= p.rows || !is_writer()) continue;
    const uint at = token * p.rows + row;
    Floats(p.out_).v[at] = p.residual != 0 ? Floats(p.residual).v[at] + sums[r] : sums[r];
  }
}
