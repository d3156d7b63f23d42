#version 460
// Causal grouped-query attention with an online softmax. Workgroup: one subgroup, for kQueries tokens x kHeads heads of one
// key head ("columns"). x: token tile, y: head group, z: split of the context. Lanes hold key positions while scores
// are made, then pairs of value dims while values are summed. A column goes through the blocks of kLanes keys in order from
// key 0 of its split; blocks past its own position leave it bit for bit as it was, so it does not feel its neighbours.
#extension GL_GOOGLE_include_directive : require
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

void main() {
  const Control control = ControlBlock(push.control).v;
  if (control.stop != 0) return;
  const uint lane = gl_LocalInvocationID.x;
  const uint first_token = gl_WorkGroupID.x * kQueries;
  const uint first_head = gl_WorkGroupID.y * kHeads;
  const uint kv_head = first_head / (push.heads / push.kv_heads);
  const uint element_bytes = kHalfCache != 0 ? 2 : 4;
  const uint64_t keys = push.keys + uint64_t(kv_head) * kKeyDim * element_bytes;
  const uint64_t values = push.values + uint64_t(kv_head) * kValueDim * element_bytes;
  const uint key_stride = push.kv_heads * kKeyDim * element_bytes;
  const uint value_stride = push.kv_heads * kValueDim * element_bytes;

  const uint last_token = min(first_token + kQueries, push.n) - 1;
  const uint total = min(control.position + last_token + 1, push.context_tokens);
  uint first_key = 0;
  uint end_key = total;
  if (kSplits > 1) {
    const uint per_split = (max((total + kSplits - 1) / kSplits, kMinSplitKeys) + kLanes - 1) / kLanes * kLanes;
    first_key = gl_WorkGroupID.z * per_split;
    end_key = min(first_key + per_split, total);
  }

  float highest[kColumns];
  float weight[kColumns];  // of this lane's keys; summed over lanes at the end
  vec2 sums[kColumns][kPairsPerLane];
  [[unroll]] for (uint c = 0; c < kColumns; ++c) {
    highest[c] = kLowest;
    weight[c] = 0;
    [[unroll]] for (uint w = 0; w < kPairsPerLane; ++w) sums[c][w] = vec2(0);
  }
  for (uint block = first_key; block < end_key; block += kLanes) {
    const uint key = block + lane;
    float scores[kColumns];
    [[unroll]] for (uint c = 0; c < kColumns; ++c) scores[c] = 0;
    add_scores(keys + uint64_t(min(key, end_key - 1)) * key_stride, first_token, first_head, scores);
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      const bool seen = key < end_key && key <= control.position + first_token + c / kHeads;
      const float score = seen ? scores[c] * push.scale : kLowest;
      const float top = max(highest[c], lanes_max(score));
      const float shrink = top == highest[c] ? 1.0 : exp(highest[c] - top);
      // Shares below e^-60 cannot change a float sum; as 0 they make no subnormal products, which are slow on CPUs.
      scores[c] = seen && score - top > -60 ? exp(score - top) : 0.0;
      highest[c] = top;
      weight[c] = weight[c] * shrink + scores[c];
      [[unroll]] for (uint w = 0; w < kPairsPerLane; ++w) sums[c][w] *= shrink;
    }
    const uint count = min(kLanes, end_key - block);
    for (uint first = 0; first < count; first += kRound) {
      vec2 v[kRound][kPairsPerLane];
      [[unroll]] for (uint j = 0; j < kRound; ++j) {
        // Rows past the last repeat it, with a share of 0.
        const uint64_t row = values + uint64_t(min(block + first + j, end_key - 1)) * value_stride;
        [[unroll]] for (uint w = 0; w < kPairsPerLane; ++w) v[j][w] = load_pair(row, min(w * kLanes + lane, kPairs - 1));
      }
      [[unroll]] for (uint c = 0; c < kColumns; ++c) {
        vec2 s[kPairsPerLane];
        [[unroll]] for (uint w = 0; w < kPairsPerLane; ++w) s[w] = sums[c][w];
        [[unroll]] for (uint j = 0; j < kRound; ++j) {
          const float p = subgroupShuffle(scores[c], first + j);
          [[unroll]] for (uint w = 0; w < kPairsPerLane; ++w) s[w] = fma(vec2(p), v[j][w], s[w]);
        }
        [[unroll]] for (uint w = 0; w < kPairsPerLane; ++w) sums[c][w] = s[w];
      }
    }
  }

  [[unroll]] for (uint c = 0; c < kColumns; ++c) {
    const uint token = first_token + c / kHeads;
    const uint row = token * push.heads + first_head + c % kHeads;
    const float total_weight = lanes_sum(weight[c]);
    if (token >= push.n) continue;
    const bool part = kSplits > 1;
    const uint64_t part_row = push.parts + (uint64_t(row) * kSplits + gl_WorkGroupID.z) * (kValueDim + 2) * 4;
    const uint64_t to = part ? part_row : push.out_values + uint64_t(row) * kValueDim * 4;
    const float by = part ? 1.0 : 1.0 / total_weight;
    [[unroll]] for (uint w = 0; w < kPairsPerLane; ++w) {
      const uint pair = w * kLanes + lane;
      if (pair >= kPairs) continue;
      Floats(to).v[2 * pair] = sums[c][w].x * by;
      Floats(to).v[2 * pair + 1] = sums[c][w].y * by;
    }
    if (part && lane == 0) {
      Floats(to).v[kValueDim] = highest[c];
      Floats(to).v[kValueDim + 1] = total_weight;
    }
  }
}
