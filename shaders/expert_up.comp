// hidden[s] = silu(gate_s x) * (up_s x), or what FORM makes of it, of each slot s that has an address. x = a run of rows, y = slot s.
#version 460
#extension GL_GOOGLE_include_directive : require
#define HOTSET_PUSH ExpertUpPush p
#include "shaders/dots.glsl"
#include "shaders/expert_form.glsl"

layout(constant_id = 6) const uint GATE_TYPE = kF32;
layout(constant_id = 7) const uint UP_TYPE = kF32;
layout(constant_id = 8) const uint ACTIVATION = 0;
layout(constant_id = 9) const uint FORM = 0;

void main() {
  if (stopped(p.control)) return;
  const uint slot = gl_WorkGroupID.y;
  const uint first = gl_WorkGroupID.x * ROWS * lane_rows() + lane_row();
  const uint64_t expert = Addresses(p.addresses).v[slot];
  if (expert == 0) return;  // somebody else's
  uint64_t rows[kRows];  // gate rows, then up rows
  float sums[kRows], up[kRows];
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    const uint64_t row = min(first + r * lane_rows(), p.ff - 1);
    rows[r] = expert + p.gate_offset + row * p.gate_row_bytes;
    rows[ROWS + r] = expert + p.up_offset + row * p.up_row_bytes;
    sums[r] = sums[ROWS + r] = up[r] = 0;
  }
  const bool gated = (FORM & kExpertGateless) == 0;
  if (gated && GATE_TYPE == UP_TYPE) {
    dot_rows(GATE_TYPE, 2 * ROWS, rows, p.x, p.embd, sums);
  } else {
    if (gated) dot_rows(GATE_TYPE, ROWS, rows, p.x, p.embd, sums);
    [[unroll]] for (uint r = 0; r < ROWS; ++r) rows[r] = rows[ROWS + r];
    dot_rows(UP_TYPE, ROWS, rows, p.x, p.embd, up);
    [[unroll]] for (uint r = 0; r < ROWS; ++r) sums[ROWS + r] = up[r];
  }
  const float weight = input_weight(FORM, p.weights, slot);
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    const uint row = first + r * lane_rows();
    if (row >= p.ff || !is_writer()) continue;
    const float gate_bias = bias_at((FORM & kExpertGateBias) != 0, expert + p.gate_bias_offset, row);
    const float up_bias = bias_at((FORM & kExpertUpBias) != 0, expert + p.up_bias_offset, row);
    Floats(p.hidden).v[slot * p.ff + row] = hidden_of(FORM, ACTIVATION, p.glu, weight, sums[r], gate_bias, sums[ROWS + r], up_bias);
  }
}
