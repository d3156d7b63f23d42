// Constants of attention.comp, and how it reads queries, keys and values.
#include "shaders/lanes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 8;
layout(constant_id = 1) const uint kKeyDim = 64;
layout(constant_id = 2) const uint kValueDim = 64;
layout(constant_id = 3) const uint kHalfCache = 1;
layout(constant_id = 4) const uint kHeads = 1;
layout(constant_id = 5) const uint kQueries = 1;
layout(constant_id = 6) const uint kSplits = 1;
layout(constant_id = 7) const uint kBroadcast = 1;  // q reaches the lanes by shuffles (cheap on a CPU), else by uniform loads
const uint kColumns = kHeads * kQueries;
const uint kPairs = kValueDim / 2;
const uint kPairsPerLane = (kPairs + kLanes - 1) / kLanes;
const uint kRound = 2;  // values added at a time; divides kLanes
const float kLowest = -3.0e38;

layout(push_constant, scalar) uniform Push { AttentionPush push; };

vec2 load_pair(uint64_t values, uint pair) {
  if (kHalfCache != 0) return unpackHalf2x16(Words(values).v[pair]);
  return vec2(Floats(values).v[2 * pair], Floats(values).v[2 * pair + 1]);
}

void load_keys(uint64_t key, uint from, out float k[8]) {
  if (kHalfCache != 0) {
    const uvec4 words = Quads(key).v[from / 8];
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      const vec2 two = unpackHalf2x16(words[i]);
      k[2 * i] = two.x;
      k[2 * i + 1] = two.y;
    }
  } else {
    [[unroll]] for (uint i = 0; i < 2; ++i) {
      const vec4 four = Vec4s(key).v[from / 4 + i];
      [[unroll]] for (uint j = 0; j < 4; ++j) k[4 * i + j] = four[j];
    }
  }
}

// The query of column c; columns past the last token repeat it.
uint64_t query_address(uint c, uint first_token, uint first_head) {
  const uint token = min(first_token + c / kHeads, push.n - 1);
  return push.q + (uint64_t(token) * push.heads + first_head + c % kHeads) * kKeyDim * 4;
}

void add_scores(uint64_t key, uint first_token, uint first_head, inout float scores[kColumns]) {
  const uint lane = gl_LocalInvocationID.x;
  for (uint d = 0; d < kKeyDim; d += 8) {
    float k[8];
    load_keys(key, d, k);
    // Copies here and in main, so that compilers that mask every store to a variable of the loop do it once a round.
    float sums[kColumns];
    float mine[kColumns];
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      sums[c] = scores[c];
      mine[c] = kBroadcast != 0 ? Floats(query_address(c, first_token, first_head)).v[d + (lane & 7)] : 0.0;
    }
    [[unroll]] for (uint i = 0; i < 8; ++i) {
      [[unroll]] for (uint c = 0; c < kColumns; ++c) {
        const float q = kBroadcast != 0 ? subgroupShuffle(mine[c], i) : Floats(query_address(c, first_token, first_head)).v[d + i];
        sums[c] = fma(q, k[i], sums[c]);
      }
    }
    [[unroll]] for (uint c = 0; c < kColumns; ++c) scores[c] = sums[c];
  }
}
