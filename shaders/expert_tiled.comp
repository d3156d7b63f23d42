#version 460
// expert_up_batch.comp and expert_down_batch.comp for GPUs. Workgroup: kInvocations; x: row tile, y: expert tile. When going
// up, the even rows of an invocation are of gate and the odd ones are the same rows of up; without a gate all are of up.
#extension GL_GOOGLE_include_directive : require
#define HOTSET_PUSH ExpertBatchPush push
#include "shaders/tiled.glsl"
#include "shaders/expert_form.glsl"

layout(constant_id = 4) const uint kGoesUp = 1;
layout(constant_id = 5) const uint kFirstType = kQ4_K;
layout(constant_id = 6) const uint kSecondType = kQ4_K;
layout(constant_id = 7) const uint ACTIVATION = 0;
layout(constant_id = 8) const uint FORM = 0;
layout(constant_id = 9) const uint kMatrices = 2;  // gate and up, or the only one

layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Tiles { ExpertTile v[]; };

// The matrix row that row `r` of row group `in_group` stands for.
uint matrix_row(uint r, uint in_group) { return gl_WorkGroupID.x * (kTileRows / kMatrices) + r / kMatrices * kRowGroups + in_group; }

void load_weights(uint64_t expert, uint group) {
  for (uint tile_row = gl_LocalInvocationID.x; tile_row < kTileRows; tile_row += kInvocations) {
    const uint r = tile_row / kRowGroups;
    const uint64_t row = min(matrix_row(r, tile_row % kRowGroups), push.rows - 1);
    vec4 w[8];
    if (kMatrices == 1 || r % 2 == 0) {
      expand32(kFirstType, expert + push.first_offset + row * push.first_row_bytes, group, w);
    } else {
      expand32(kSecondType, expert + push.second_offset + row * push.second_row_bytes, group, w);
    }
    keep_weights(tile_row, w);
  }
}

uint pair_at(ExpertTile tile, uint t) { return Words(push.pairs).v[tile.first_pair + min(t, tile.pair_count - 1)]; }

void main() {
  if (stopped(push.control)) return;
  const ExpertTile tile = Tiles(push.tiles).v[gl_WorkGroupID.y];
  float sums[kRows][kTokensEach];
  clear_sums(sums);
  for (uint group = 0; group < push.cols / 32; ++group) {
    load_weights(tile.expert, group);
    for (uint i = gl_LocalInvocationID.x; i < 32 * kTokens; i += kInvocations) {
      const uint pair = pair_at(tile, i / 32);
      const uint64_t x = push.x + uint64_t(kGoesUp != 0 ? pair / push.used : pair) * push.cols * 4;
      activation_tile[i % 32 * kPitch + i / 32] = Floats(x).v[32 * group + i % 32];
    }
    add_tile(sums);
  }
  [[unroll]] for (uint t = 0; t < kTokensEach; ++t) {
    const uint in_tile = token_group() * kTokensEach + t;
    const uint pair = pair_at(tile, in_tile);
    const uint64_t at = push.out_values + uint64_t(pair) * push.rows * 4;
    const float weight = input_weight(FORM, push.weights, pair);
    [[unroll]] for (uint r = 0; r < kRows; r += kMatrices) {
      const uint row = matrix_row(r, row_group());
      if (row >= push.rows || in_tile >= tile.pair_count) continue;
      const float gate_bias = bias_at((FORM & kExpertGateBias) != 0, tile.expert + push.gate_bias_offset, row);
      const float bias = bias_at((FORM & (kExpertUpBias | kExpertDownBias)) != 0, tile.expert + push.bias_offset, row);
      float value = sums[r][t];
      if (kGoesUp != 0) value = hidden_of(FORM, ACTIVATION, push.glu, weight, value, gate_bias, sums[r + kMatrices - 1][t], bias);
      else if ((FORM & kExpertDownBias) != 0) value += bias;
      Floats(at).v[row] = value;
    }
  }
}
