// out of each head = its matrix times its x. x = a run of rows, y = token, z = head.
#version 460
#extension GL_GOOGLE_include_directive : require
#define HOTSET_PUSH MatmulHeadsPush p
#include "shaders/dots.glsl"

layout(constant_id = 6) const uint TYPE = kF32;

void main() {
  if (stopped(p.control)) return;
  const uint64_t token = gl_WorkGroupID.y, head = gl_WorkGroupID.z;
  const uint first = gl_WorkGroupID.x * ROWS * lane_rows() + lane_row();
  uint64_t rows[kRows];
  float sums[kRows];
  // Past the last row a lane repeats it and does not write: the subgroup stays whole.
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    rows[r] = p.weight + (head * p.rows + min(first + r * lane_rows(), p.rows - 1)) * p.row_bytes;
    sums[r] = 0;
  }
  dot_rows(TYPE, ROWS, rows, p.x + 4ul * (token * p.x_stride + head * p.x_head_stride), p.cols, sums);
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    const uint row = first + r * lane_rows();
    if (row < p.rows && is_writer()) Floats(p.out_ + 4ul * (token * p.out_stride + head * p.out_head_stride)).v[row] = sums[r];
  }
}
