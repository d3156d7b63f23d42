// The recurrence of LinearAttentionShape (runtime/compute/ops.h), token after token. Workgroup: one subgroup, which keeps kColumns
// columns of one head's S in registers; x = a run of columns, y = head. Lanes have the keys lane, lane + kLanes, ... of all
// columns; a value that belongs to a column (v, u, out) lies in the lanes whose number modulo kColumns is that column.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lanes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 8;
layout(constant_id = 1) const uint kKeyDim = 128;
layout(constant_id = 2) const uint kColumns = 8;  // a power of 2, at most kLanes
layout(constant_id = 3) const uint kDecay = 0;
layout(constant_id = 4) const uint kDelta = 0;
const uint kKeys = (kKeyDim + kLanes - 1) / kLanes;  // of a lane

layout(push_constant, scalar) uniform Push { LinearAttentionPush p; };

float load_key(uint64_t row, uint w, uint lane) {
  const uint key = w * kLanes + lane;
  const float value = Floats(row).v[min(key, kKeyDim - 1)];
  return key < kKeyDim ? value : 0.0;
}

// The sum over all lanes of each column, in the lanes that have the column: at every step two lanes share their columns out.
float column_sums(float parts[kColumns], uint lane) {
  [[unroll]] for (uint step = kColumns / 2; step > 0; step /= 2) {
    const bool upper = (lane & step) != 0;
    [[unroll]] for (uint c = 0; c < step; ++c) {
      const float kept = upper ? parts[c + step] : parts[c];
      const float given = upper ? parts[c] : parts[c + step];
      parts[c] = kept + subgroupShuffle(given, lane ^ step);
    }
  }
  float sum = parts[0];
  [[unroll]] for (uint step = kColumns; step < kLanes; step *= 2) sum += subgroupShuffle(sum, lane ^ step);
  return sum;
}

float product_sums(float x[kKeys], float s[kKeys][kColumns], uint lane) {
  float parts[kColumns];
  [[unroll]] for (uint c = 0; c < kColumns; ++c) {
    parts[c] = 0;
    [[unroll]] for (uint w = 0; w < kKeys; ++w) parts[c] = fma(x[w], s[w][c], parts[c]);
  }
  return column_sums(parts, lane);
}

float decay_of(uint t, uint head, uint w, uint lane) {
  if (kDecay == kDecayNone) return 1;
  if (kDecay == kDecayConstant) return exp(Floats(p.decay).v[head]);
  const uint64_t row = p.decay + 4ul * t * p.decay_stride;
  return exp(kDecay == kDecayHead ? Floats(row).v[head] : load_key(row + 4ul * head * kKeyDim, w, lane));
}

void main() {
  const Control control = ControlBlock(p.control).v;
  if (control.stop != 0) return;
  const uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.y, first = gl_WorkGroupID.x * kColumns;
  const uint key_offset = head / p.key_group % p.key_heads * kKeyDim;
  const uint column = first + lane % kColumns;
  const uint value_at = head * p.value_dim + min(column, p.value_dim - 1);
  const uint64_t state = p.state + 4ul * head * kKeyDim * p.value_dim;

  float s[kKeys][kColumns];
  [[unroll]] for (uint w = 0; w < kKeys; ++w) {
    const uint key = w * kLanes + lane;
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      s[w][c] = 0;
      if (control.position != 0 && key < kKeyDim && first + c < p.value_dim) s[w][c] = Floats(state).v[key * p.value_dim + first + c];
    }
  }
  for (uint t = 0; t < p.n; ++t) {
    float k[kKeys], q[kKeys];
    const float decay = kDecay == kDecayChannel ? 1.0 : decay_of(t, head, 0, lane);
    [[unroll]] for (uint w = 0; w < kKeys; ++w) {
      k[w] = load_key(p.k + 4ul * (uint64_t(t) * p.k_stride + key_offset), w, lane);
      q[w] = load_key(p.q + 4ul * (uint64_t(t) * p.q_stride + key_offset), w, lane);
      const float factor = kDecay == kDecayChannel ? decay_of(t, head, w, lane) : decay;
      [[unroll]] for (uint c = 0; c < kColumns; ++c) s[w][c] *= factor;
    }
    float u = Floats(p.v + 4ul * t * p.v_stride).v[value_at];
    if (kDelta != 0) u -= product_sums(k, s, lane);
    if (p.beta != 0) u *= Floats(p.beta + 4ul * t * p.beta_stride).v[head];
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      const float added = subgroupShuffle(u, c);
      [[unroll]] for (uint w = 0; w < kKeys; ++w) s[w][c] = fma(k[w], added, s[w][c]);
    }
    const float sum = product_sums(q, s, lane);
    if (lane < kColumns && column < p.value_dim) Floats(p.out_ + 4ul * t * p.out_stride).v[value_at] = p.scale * sum;
  }
  [[unroll]] for (uint w = 0; w < kKeys; ++w) {
    const uint key = w * kLanes + lane;
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      if (key < kKeyDim && first + c < p.value_dim) Floats(state).v[key * p.value_dim + first + c] = s[w][c];
    }
  }
}
