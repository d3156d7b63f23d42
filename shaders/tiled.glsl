// The inner loop of matmul_tiled and expert_tiled, for GPUs: 32 columns of kTileRows rows of weights and of kTokens tokens pass
// through shared memory. An invocation owns kRows x kTokensEach outputs and sums each over k in order, so the bits of an
// output depend on nothing else of the tile. Rows of an invocation lie kRowGroups apart in the tile.
#include "shaders/lanes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kInvocations = 128;
layout(constant_id = 1) const uint kRows = 4;
layout(constant_id = 2) const uint kTokensEach = 4;
layout(constant_id = 3) const uint kTokens = 32;
const uint kTokenGroups = kTokens / kTokensEach;
const uint kRowGroups = kInvocations / kTokenGroups;
const uint kTileRows = kRowGroups * kRows;
const uint kPitch = kTokens + 1;  // keeps the lanes that write neighbouring columns on different banks

shared float weight_tile[32 * kTileRows];      // [k][row]
shared float activation_tile[32 * kPitch];     // [k][token]

uint row_group() { return gl_LocalInvocationID.x % kRowGroups; }
uint token_group() { return gl_LocalInvocationID.x / kRowGroups; }

void clear_sums(out float sums[kRows][kTokensEach]) {
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    [[unroll]] for (uint t = 0; t < kTokensEach; ++t) sums[r][t] = 0;
  }
}

void keep_weights(uint tile_row, vec4 w[8]) {
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    [[unroll]] for (uint j = 0; j < 4; ++j) weight_tile[(4 * i + j) * kTileRows + tile_row] = w[i][j];
  }
}

// Adds the 32 columns in shared memory; every invocation of the workgroup must call it.
void add_tile(inout float sums[kRows][kTokensEach]) {
  barrier();
  for (uint k = 0; k < 32; ++k) {
    float x[kTokensEach];
    [[unroll]] for (uint t = 0; t < kTokensEach; ++t) x[t] = activation_tile[k * kPitch + token_group() * kTokensEach + t];
    [[unroll]] for (uint r = 0; r < kRows; ++r) {
      const float w = weight_tile[k * kTileRows + r * kRowGroups + row_group()];
      [[unroll]] for (uint t = 0; t < kTokensEach; ++t) sums[r][t] = fma(w, x[t], sums[r][t]);
    }
  }
  barrier();
}
