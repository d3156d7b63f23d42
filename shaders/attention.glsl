// Constants of attention.comp, and how it reads queries, keys and values.
#include "shaders/lanes.glsl"
#include "shaders/activation.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 8;
layout(constant_id = 1) const uint kKeyDim = 64;
layout(constant_id = 2) const uint kValueDim = 64;
layout(constant_id = 3) const uint kHalfCache = 1;
layout(constant_id = 4) const uint kHeads = 1;
layout(constant_id = 5) const uint kQueries = 1;
layout(constant_id = 6) const uint kSplits = 1;
layout(constant_id = 7) const uint kBroadcast = 1;  // q reaches the lanes by shuffles (cheap on a CPU), else by uniform loads
layout(constant_id = 8) const uint kLimited = 0;    // 1: a window or chunks
layout(constant_id = 9) const uint kMasked = 0;
layout(constant_id = 10) const uint kCapped = 0;
layout(constant_id = 11) const uint kBeside = 0;  // 1: rows beside the cache follow its own
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
  if (kKeyDim % 8 != 0) {
    // One by one; past the last dim zeros.
    [[unroll]] for (uint i = 0; i < 8; ++i) {
      const uint d = min(from + i, kKeyDim - 1);
      const float value = kHalfCache != 0 ? half_bits(half_at(key + 2 * d)) : Floats(key).v[d];
      k[i] = from + i < kKeyDim ? value : 0.0;
    }
  } else if (kHalfCache != 0) {
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

// Dim d of a query; past the last one it is repeated, for keys of 0.
float query_at(uint64_t query, uint d) { return Floats(query).v[kKeyDim % 8 != 0 ? min(d, kKeyDim - 1) : d]; }

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
      mine[c] = kBroadcast != 0 ? query_at(query_address(c, first_token, first_head), d + (lane & 7)) : 0.0;
    }
    [[unroll]] for (uint i = 0; i < 8; ++i) {
      [[unroll]] for (uint c = 0; c < kColumns; ++c) {
        const float q = kBroadcast != 0 ? subgroupShuffle(mine[c], i) : query_at(query_address(c, first_token, first_head), d + i);
        sums[c] = fma(q, k[i], sums[c]);
      }
    }
    [[unroll]] for (uint c = 0; c < kColumns; ++c) scores[c] = sums[c];
  }
}

// The first position that one at `position` sees.
uint first_seen(uint position) {
  uint first = 0;
  if (push.window != 0 && position >= push.window) first = position - push.window + 1;
  if (push.chunk != 0) first = max(first, position / push.chunk * push.chunk);
  return first;
}

// Rows beside the cache that one at `position` sees.
uint beside_of(uint position) { return min(position + 1, push.context_tokens) / push.beside_every; }

// The mask is of the rows beside the cache where there are any.
bool sees(uint token, uint position, uint key, uint part) {
  if (part != 0) {
    if (key >= beside_of(position)) return false;
  } else if (key > position || kLimited != 0 && key < first_seen(position)) {
    return false;
  }
  if (kMasked == 0 || part != kBeside) return true;
  if (key / 32 >= push.mask_words || token >= push.n) return false;
  const uint head = push.mask_heads == 1 ? 0 : gl_WorkGroupID.y * kHeads / (push.heads / push.kv_heads);
  const uint64_t row = push.mask + 4ul * (uint64_t(token) * push.mask_heads + head) * push.mask_words;
  return (Words(row).v[key / 32] >> (key % 32) & 1) != 0;
}

float capped(float score) { return kCapped != 0 ? push.softcap * tanh_of(score / push.softcap) : score; }
