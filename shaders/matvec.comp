// out[t] = w x[t] (+ residual[t]) for PRODUCTS matrices w with the same x. x, z = a run of rows, matrix after matrix; y =
// token; every token is computed as if it were alone.
#version 460
#extension GL_GOOGLE_include_directive : require
#define HOTSET_PUSH MatvecPush p
#include "shaders/dots.glsl"

layout(constant_id = 6) const uint TYPE = kF32;
layout(constant_id = 7) const uint PRODUCTS = 1;

void main() {
  if (stopped(p.control)) return;
  const uint token = gl_WorkGroupID.y;
  uint run = gl_WorkGroupID.z * gl_NumWorkGroups.x + gl_WorkGroupID.x;
  uint64_t weights = p.weights[0];
  uint64_t out_values = p.out_[0];
  uint row_count = p.rows[0];
  [[unroll]] for (uint i = 1; i < PRODUCTS; ++i) {
    const uint runs = (row_count + ROWS * lane_rows() - 1) / (ROWS * lane_rows());
    if (run < runs) break;
    run -= runs;
    weights = p.weights[i];
    out_values = p.out_[i];
    row_count = p.rows[i];
  }
  const uint first = run * ROWS * lane_rows() + lane_row();
  uint64_t rows[kRows];
  float sums[kRows];
  // Past the last row a lane repeats it and does not write: the subgroup stays whole.
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    rows[r] = weights + uint64_t(min(first + r * lane_rows(), row_count - 1)) * p.row_bytes;
    sums[r] = 0;
  }
  dot_rows(TYPE, ROWS, rows, p.x + 4ul * token * p.cols, p.cols, sums);
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    const uint row = first + r * lane_rows();
    if (row >= row_count || !is_writer()) continue;
    const uint at = token * row_count + row;
    Floats(out_values).v[at] = p.residual != 0 ? Floats(p.residual).v[at] + sums[r] : sums[r];
  }
}
