// out += sum over the slots s that have an address, in order, of weights[s] * (down_s hidden[s] + bias). x = a run of rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#define HOTSET_PUSH ExpertDownPush p
#include "shaders/dots.glsl"
#include "shaders/expert_form.glsl"

layout(constant_id = 6) const uint TYPE = kF32;
layout(constant_id = 9) const uint FORM = 0;

void main() {
  if (stopped(p.control)) return;
  const uint first = gl_WorkGroupID.x * ROWS * lane_rows() + lane_row();
  float totals[kRows];
  [[unroll]] for (uint r = 0; r < ROWS; ++r) totals[r] = 0;
  for (uint slot = 0; slot < p.used; ++slot) {
    const uint64_t expert = Addresses(p.addresses).v[slot];
    if (expert == 0) continue;  // somebody else's
    const uint64_t down = expert + p.down_offset;
    uint64_t rows[kRows];
    float sums[kRows];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
      rows[r] = down + uint64_t(min(first + r * lane_rows(), p.embd - 1)) * p.down_row_bytes;
      sums[r] = 0;
    }
    dot_rows(TYPE, ROWS, rows, p.hidden + 4ul * slot * p.ff, p.ff, sums);
    const float weight = (FORM & kExpertWeightedInput) != 0 ? 1.0 : Floats(p.weights).v[slot];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
      const uint row = min(first + r * lane_rows(), p.embd - 1);
      if ((FORM & kExpertDownBias) != 0) sums[r] += Floats(expert + p.down_bias_offset).v[row];
      totals[r] = fma(weight, sums[r], totals[r]);
    }
  }
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    const uint row = first + r * lane_rows();
    if (row < p.embd && is_writer()) Floats(p.out_).v[row] += totals[r];
  }
}
