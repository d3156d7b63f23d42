// hidden[s] = silu(gate_s x) * (up_s x). x = a run of rows, y = slot s.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/dots.glsl"

layout(constant_id = 5) const uint GATE_TYPE = kF32;
layout(constant_id = 6) const uint UP_TYPE = kF32;
layout(push_constant, scalar) uniform Push { ExpertUpPush p; };

void main() {
  if (stopped(p.control)) return;
  const uint slot = gl_WorkGroupID.y;
  const uint row = gl_WorkGroupID.x * lane_rows() + lane_row();
  const uint64_t expert = Addresses(p.addresses).v[slot];
  const uint64_t at = min(row, p.ff - 1);
  uint64_t rows[kRows] = uint64_t[](expert + p.gate_offset + at * p.gate_row_bytes, expert + p.up_offset + at * p.up_row_bytes);
  float sums[kRows] = float[](0, 0);
  if (GATE_TYPE == UP_TYPE) {
    dot_rows(GATE_TYPE, 2, rows, p.x, p.embd, sums);
  } else {
    float up[kRows] = float[](0, 0);
    dot_rows(GATE_TYPE, 1, rows, p.x, p.embd, sums);
    rows[0] = rows[1];
    dot_rows(UP_TYPE, 1, rows, p.x, p.embd, up);
    sums[1] = up[0];
  }
  if (row < p.ff && is_writer()) Floats(p.hidden).v[slot * p.ff + row] = sums[0] / (1.0 + exp(-sums[0])) * sums[1];
}
