#version 460
// Norm, rotation and caching of one head of q, k or v of one token. Workgroup: one subgroup; x: head (q heads, then k
// heads, then v heads), y: token. Each lane owns whole rotation pairs, so q can be rotated in place.
#extension GL_GOOGLE_include_directive : require
#include "shaders/lanes.glsl"
#include "shaders/cache_element.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 8;
layout(constant_id = 1) const uint kHalfCache = 1;
layout(constant_id = 2) const uint kAdjacentPairs = 0;  // 0: pairs (i, i + rope_dim / 2); 1: pairs (2 i, 2 i + 1)

layout(push_constant, scalar) uniform Push { StoreKvPush push; };

// Where the two members of pair i lie; pairs past the rotated dims are (2 i, 2 i + 1).
uvec2 pair_dims(uint i) {
  const uint turning = push.rope_dim / 2;
  if (i < turning && kAdjacentPairs == 0) return uvec2(i, i + turning);
  return uvec2(2 * i, 2 * i + 1);
}

void store_head(uint64_t from, uint64_t to, bool as_half, uint dims, uint64_t norm, uint64_t rope) {
  const uint lane = gl_LocalInvocationID.x;
  float inverse = 1;
  if (norm != 0) {
    float sum = 0;
    for (uint i = lane; i < dims / 2; i += kLanes) {
      const uvec2 at = pair_dims(i);
      const vec2 x = vec2(Floats(from).v[at.x], Floats(from).v[at.y]);
      sum += x.x * x.x + x.y * x.y;
    }
    inverse = 1 / sqrt(lanes_sum(sum) / float(dims) + push.norm_eps);
  }
  for (uint i = lane; i < dims / 2; i += kLanes) {
    const uvec2 at = pair_dims(i);
    vec2 x = vec2(Floats(from).v[at.x], Floats(from).v[at.y]);
    if (norm != 0) x *= inverse * vec2(Floats(norm).v[at.x], Floats(norm).v[at.y]);
    if (rope != 0 && i < push.rope_dim / 2) {
      const vec2 turn = vec2(Floats(rope).v[2 * i], Floats(rope).v[2 * i + 1]);
      x = vec2(x.x * turn.x - x.y * turn.y, x.x * turn.y + x.y * turn.x);
    }
    store(to, at.x, as_half, x.x);
    store(to, at.y, as_half, x.y);
  }
}

void main() {
  const Control control = ControlBlock(push.control).v;
  if (control.stop != 0) return;
  const uint head = gl_WorkGroupID.x;
  const uint token = gl_WorkGroupID.y;
  const uint position = control.position + token;
  const uint64_t rope = push.rope + uint64_t(token) * push.rope_dim * 4;
  const uint element_bytes = kHalfCache != 0 ? 2 : 4;
  if (head < push.heads) {
    const uint64_t q = push.q + (uint64_t(token) * push.heads + head) * push.head_dim * 4;
    store_head(q, q, false, push.head_dim, push.q_norm, rope);
    return;
  }
  if (position >= push.context_tokens) return;
  if (head < push.heads + push.kv_heads) {
    const uint64_t from = (uint64_t(token) * push.kv_heads + head - push.heads) * push.head_dim * 4;
    const uint64_t to = (uint64_t(position) * push.key_stride + (head - push.heads) * push.head_dim) * element_bytes;
    store_head(push.k + from, push.keys + to, kHalfCache != 0, push.head_dim, push.k_norm, rope);
    return;
  }
  const uint kv_head = head - push.heads - push.kv_heads;
  const uint64_t from = (uint64_t(token) * push.kv_heads + kv_head) * push.value_dim * 4;
  const uint64_t to = (uint64_t(position) * push.value_stride + kv_head * push.value_dim) * element_bytes;
  store_head(push.v + from, push.values + to, kHalfCache != 0, push.value_dim, 0, 0);
}
