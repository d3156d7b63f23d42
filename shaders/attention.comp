#version 460
// Causal grouped-query attention with an online softmax. Workgroup: one subgroup, for kQueries tokens x kHeads heads of one
// key head ("columns"). x: token tile, y: head group, z: split of the context. Lanes hold key positions while scores
// are made, then pairs of value dims while values are summed. A column goes through the blocks of kLanes keys in order from
// key 0 of its split; blocks past its own position leave it bit for bit as it was, so it does not feel its neighbours.
#extension GL_GOOGLE_include_directive : require
#include "shaders/attention.glsl"

void main() {
  const Control control = ControlBlock(push.control).v;
  if (control.stop != 0) return;
  const uint lane = gl_LocalInvocationID.x;
  const uint first_token = gl_WorkGroupID.x * kQueries;
  const uint first_head = gl_WorkGroupID.y * kHeads;
  const uint kv_head = first_head / (push.heads / push.kv_heads);
  const uint element_bytes = kHalfCache != 0 ? 2 : 4;
  const uint key_stride = push.key_stride * element_bytes;
  const uint value_stride = push.value_stride * element_bytes;

  const uint last_token = min(first_token + kQueries, push.n) - 1;

  float highest[kColumns];
  float weight[kColumns];  // of this lane's keys; summed over lanes at the end
  vec2 sums[kColumns][kPairsPerLane];
  [[unroll]] for (uint c = 0; c < kColumns; ++c) {
    highest[c] = kLowest;
    weight[c] = 0;
    [[unroll]] for (uint w = 0; w < kPairsPerLane; ++w) sums[c][w] = vec2(0);
  }
  for (uint part = 0; part <= kBeside; ++part) {
    const uint64_t keys = part != 0 ? push.beside : push.keys + uint64_t(kv_head) * kKeyDim * element_bytes;
    const uint64_t values = part != 0 ? push.beside : push.values + uint64_t(kv_head) * kValueDim * element_bytes;
    const uint total = part != 0 ? beside_of(control.position + last_token) : min(control.position + last_token + 1, push.context_tokens);
    // Whole blocks that the first token sees nothing of are left out; the others see nothing of them either.
    const uint begin = part == 0 && kLimited != 0 ? min(first_seen(control.position + first_token), total) / kLanes * kLanes : 0;
    uint first_key = begin;
    uint end_key = total;
    if (kSplits > 1) {
      const uint per_split = (max((total - begin + kSplits - 1) / kSplits, kMinSplitKeys) + kLanes - 1) / kLanes * kLanes;
      first_key = begin + gl_WorkGroupID.z * per_split;
      end_key = min(first_key + per_split, total);
    }
    for (uint block = first_key; block < end_key; block += kLanes) {
      const uint key = block + lane;
      if (kMasked != 0) {
        bool any = false;
        for (uint t = 0; t < kQueries; ++t) any = any || sees(first_token + t, control.position + first_token + t, key, part);
        if (lanes_max(any ? 1 : 0) == 0) continue;
      }
      float scores[kColumns];
      [[unroll]] for (uint c = 0; c < kColumns; ++c) scores[c] = 0;
      add_scores(keys + uint64_t(min(key, end_key - 1)) * key_stride, first_token, first_head, scores);
      [[unroll]] for (uint c = 0; c < kColumns; ++c) {
        const uint token = first_token + c / kHeads;
        const bool seen = key < end_key && sees(token, control.position + token, key, part);
        const float score = seen ? capped(scores[c] * push.scale) : kLowest;
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
  }

  [[unroll]] for (uint c = 0; c < kColumns; ++c) {
    const uint token = first_token + c / kHeads;
    const uint row = token * push.heads + first_head + c % kHeads;
    float total_weight = lanes_sum(weight[c]);
    if (token >= push.n) continue;
    const bool in_parts = kSplits > 1;
    float shrink = 1;
    if (!in_parts && push.sinks != 0) {
      const float sink = Floats(push.sinks).v[first_head + c % kHeads], top = max(highest[c], sink);
      shrink = exp(highest[c] - top);
      total_weight = total_weight * shrink + exp(sink - top);
    }
    const uint64_t part_row = push.parts + (uint64_t(row) * kSplits + gl_WorkGroupID.z) * (kValueDim + 2) * 4;
    const uint64_t to = in_parts ? part_row : push.out_values + uint64_t(row) * kValueDim * 4;
    // A token that sees nothing has a weight of 0.
    const float by = in_parts ? 1.0 : total_weight == 0 ? 0.0 : shrink / total_weight;
    [[unroll]] for (uint w = 0; w < kPairsPerLane; ++w) {
      const uint pair = w * kLanes + lane;
      if (pair >= kPairs) continue;
      Floats(to).v[2 * pair] = sums[c][w].x * by;
      Floats(to).v[2 * pair + 1] = sums[c][w].y * by;
    }
    if (in_parts && lane == 0) {
      Floats(to).v[kValueDim] = highest[c];
      Floats(to).v[kValueDim + 1] = total_weight;
    }
  }
}
