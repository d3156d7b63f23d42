#version 460
// hidden[pair] = silu(gate x[token]) * (up x[token]), or what FORM makes of it, for the pairs of one expert tile. A lane owns
// one row of gate and up, of up alone (kRows = 1, as the first matrix) where there is no gate.
#extension GL_GOOGLE_include_directive : require
#include "shaders/expert_batch.glsl"
#include "shaders/expert_form.glsl"

layout(constant_id = 3) const uint kGateType = kQ4_K;
layout(constant_id = 4) const uint kUpType = kQ4_K;
layout(constant_id = 5) const uint ACTIVATION = 0;
layout(constant_id = 6) const uint FORM = 0;

void main() {
  if (stopped(push.control)) return;
  const ExpertTile tile = Tiles(push.tiles).v[gl_WorkGroupID.y];
  const uint row = gl_WorkGroupID.x * kLanes + gl_LocalInvocationID.x;
  const uint64_t gate = row_address(tile, push.first_offset, row, push.first_row_bytes);
  const uint64_t up = row_address(tile, push.second_offset, row, push.second_row_bytes);
  uint pairs[kTokens];
  load_pairs(tile, pairs);
  uint64_t x[kTokens];
  [[unroll]] for (uint t = 0; t < kTokens; ++t) x[t] = push.x + uint64_t(pairs[t] / push.used) * push.cols * 4;
  float sums[kTokens][kRows];  // gate, up
  clear_sums(sums);
  for (uint group = 0; group < push.cols / 32; ++group) {
    vec4 w[kRows][8];
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      if (r == 0) {
        expand32(kGateType, gate, group, w[r]);
      } else {
        expand32(kUpType, up, group, w[r]);
      }
    }
    add_group(x, group, w, sums);
  }
  [[unroll]] for (uint t = 0; t < kTokens; ++t) {
    if (row >= push.rows || t >= tile.pair_count) continue;
    const float weight = input_weight(FORM, push.weights, pairs[t]);
    const float gate_bias = bias_at((FORM & kExpertGateBias) != 0, tile.expert + push.gate_bias_offset, row);
    const float up_bias = bias_at((FORM & kExpertUpBias) != 0, tile.expert + push.bias_offset, row);
    const float hidden = hidden_of(FORM, ACTIVATION, push.glu, weight, sums[t][0], gate_bias, sums[t][kRows - 1], up_bias);
    Floats(push.out_values + uint64_t(pairs[t]) * push.rows * 4).v[row] = hidden;
  }
}
