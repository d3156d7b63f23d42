// The inner loop of matmul, expert_up_batch and expert_down_batch: a lane holds 32 weights of each of its kRows rows and uses
// them for kTokens tokens. An output is summed over k in order by one lane, so its bits depend on nothing else of the tile.
#include "shaders/lanes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 8;
layout(constant_id = 1) const uint kRows = 2;
layout(constant_id = 2) const uint kTokens = 8;

void clear_sums(out float sums[kTokens][kRows]) {
  [[unroll]] for (uint t = 0; t < kTokens; ++t) {
    [[unroll]] for (uint r = 0; r < kRows; ++r) sums[t][r] = 0;
  }
}

// Adds k = 32 group ..: x[t] are the addresses of the tokens' activations. Eight of them at a time come in one load, a lane
// each, and reach the others by shuffles: on a CPU a load at one address for all lanes costs as much as eight.
void add_group(uint64_t x[kTokens], uint group, vec4 w[kRows][8], inout float sums[kTokens][kRows]) {
  // A copy, so that compilers that mask every store to a variable of the loop do it once a group.
  float s[kTokens][kRows];
  [[unroll]] for (uint t = 0; t < kTokens; ++t) {
    [[unroll]] for (uint r = 0; r < kRows; ++r) s[t][r] = sums[t][r];
  }
  [[unroll]] for (uint part = 0; part < 2; ++part) {
    vec2 mine[kTokens];
    [[unroll]] for (uint t = 0; t < kTokens; ++t) {
      const uint64_t two = Addresses(x[t]).v[16 * group + 8 * part + (gl_LocalInvocationID.x & 7)];
      mine[t] = uintBitsToFloat(unpack32(two));
    }
    [[unroll]] for (uint i = 0; i < 16; ++i) {
      [[unroll]] for (uint t = 0; t < kTokens; ++t) {
        const float value = subgroupShuffle(mine[t][i % 2], i / 2);
        [[unroll]] for (uint r = 0; r < kRows; ++r) s[t][r] = fma(value, w[r][4 * part + i / 4][i % 4], s[t][r]);
      }
    }
  }
  [[unroll]] for (uint t = 0; t < kTokens; ++t) {
    [[unroll]] for (uint r = 0; r < kRows; ++r) sums[t][r] = s[t][r];
  }
}
