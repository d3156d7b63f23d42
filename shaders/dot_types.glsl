// The dot product of one step of one row with x_of (dots.glsl), by type.
//
// Quants are used where they lie in their word: byte c counts 2^8c too much, which is exact and taken out at the end.
// What is constant over a scale's weights (mins, offsets of unsigned quants) meets the sum of x once.

const vec4 kByteUnits = vec4(1.0, 1.0 / 256.0, 1.0 / 65536.0, 1.0 / 16777216.0);

vec4 in_place(uint v) { return vec4(ivec4(uvec4(v) & uvec4(0xffu, 0xff00u, 0xff0000u, 0x7f000000u))); }

void load_run(uint64_t address, const uint count, out uint q[8]) {
  [[unroll]] for (uint i = 0; i < count; i += 4) {
    uvec4 four;
    if (WIDE && count >= 4) {
      const u64vec2 two = Longs(address + 4ul * i).v[0];
      four = uvec4(uint(two.x), uint(two.x >> 32), uint(two.y), uint(two.y >> 32));
    } else if (count >= 4) {
      four = Quads(address + 4ul * i).v[0];
    } else {
      [[unroll]] for (uint j = 0; j < count; ++j) four[j] = Words(address).v[j];
    }
    [[unroll]] for (uint j = 0; j < min(count, 4); ++j) q[i + j] = four[j];
  }
}

float dot_q4_q5(const uint type, uint64_t row, uint step) {
  const uint w = step_words(type), steps = 8 / w;
  const uint pair = step / steps % 4, first = step % steps * w;
  const uint64_t block = row + block_size_bytes(type) * (step / (4 * steps));
  uint q[8], fifth[8];
  load_run(block + (type == kQ4_K ? 16 : 48) + 32 * pair + 4 * first, w, q);
  if (type == kQ5_K) load_run(block + 16 + 4 * first, w, fifth);
  vec4 low = vec4(0), high = vec4(0);
  [[unroll]] for (uint i = 0; i < w; ++i) {
    uint a = q[i] & 0x0f0f0f0fu, b = (q[i] >> 4) & 0x0f0f0f0fu;
    if (type == kQ5_K) {
      const uint bits = fifth[i] >> (2 * pair);
      a |= (bits & 0x01010101u) << 4;
      b |= (bits & 0x02020202u) << 3;
    }
    low = fma(in_place(a), x_of[i], low);
    high = fma(in_place(b), x_of[w + i], high);
  }
  uint head[8];
  load_run(block, 4, head);
  const vec4 scales = pair_scales(uvec4(head[0], head[1], head[2], head[3]), pair);
  return scales.x * dot(low, kByteUnits) + scales.y * dot(high, kByteUnits) - scales.z * x_sum[0] - scales.w * x_sum[1];
}

float dot_q6(uint64_t row, uint step) {
  const uint w = step_words(kQ6_K), steps = 8 / w;
  const uint half_index = step / steps % 2, first = step % steps * w;
  const uint64_t block = row + 210ul * (step / (2 * steps));
  uint q0[8], q1[8], pairs[8];
  words_at(block + 64 * half_index + 4 * first, w, q0);
  words_at(block + 64 * half_index + 32 + 4 * first, w, q1);
  words_at(block + 128 + 32 * half_index + 4 * first, w, pairs);
  uint scales[8];
  words_at(block + 192 + 8 * half_index, 2, scales);
  float sum = 0;
  const uint sides = (w + 3) / 4, side_words = w / sides;  // each 16 weights have their scale
  [[unroll]] for (uint part = 0; part < 4; ++part) {
    [[unroll]] for (uint side = 0; side < sides; ++side) {
      vec4 sums = vec4(0);
      [[unroll]] for (uint j = 0; j < side_words; ++j) {
        const uint i = side * side_words + j;
        const uint q = (part & 1) == 0 ? q0[i] : q1[i];
        const uint high = part < 2 ? pairs[i] << (4 - 2 * part) : pairs[i] >> (2 * part - 4);
        sums = fma(in_place(((q >> (part / 2 * 4)) & 0x0f0f0f0fu) | (high & 0x30303030u)), x_of[part * w + i], sums);
      }
      const uint at = side + first / 4;
      const int scale = int(scales[part / 2] << (24 - 16 * (part & 1) - 8 * at)) >> 24;
      sum = fma(float(scale), dot(sums, kByteUnits) - 32.0 * x_sum[part * sides + side], sum);
    }
  }
  return half_bits(half_at(block + 208)) * sum;
}

float dot_mxfp4(uint64_t row, uint step) {
  const uint w = step_words(kMXFP4), steps = run_words(kMXFP4) / w, first = step % steps * w;
  const uint64_t block = row + 17ul * (step / steps);
  uint q[8];
  words_at_byte(block + 1 + 4 * first, w, q);
  vec4 sums = vec4(0);
  [[unroll]] for (uint i = 0; i < w; ++i) {
    sums = fma(doubled_e2m1(q[i]), x_of[i], sums);
    sums = fma(doubled_e2m1(q[i] >> 4), x_of[w + i], sums);
  }
  return half_power(byte_at(block)) * (sums.x + sums.y + sums.z + sums.w);
}

float dot_small(const uint type, uint64_t row, uint step) {
  const uint w = step_words(type), steps = run_words(type) / w, first = step % steps * w;
  const uint64_t block = row + block_size_bytes(type) * (step / steps);
  uint q[8];
  words_at(block + 2 + 4 * first, w, q);
  vec4 low = vec4(0), high = vec4(0);
  [[unroll]] for (uint i = 0; i < w; ++i) {
    if (type == kQ8_0) {
      low = fma(signed_bytes(q[i]), x_of[i], low);
    } else {
      low = fma(in_place(q[i] & 0x0f0f0f0fu), x_of[i], low);
      high = fma(in_place((q[i] >> 4) & 0x0f0f0f0fu), x_of[w + i], high);
    }
  }
  const float d = half_bits(half_at(block));
  if (type == kQ8_0) return d * (low.x + low.y + low.z + low.w);
  return d * (dot(low + high, kByteUnits) - 8.0 * (x_sum[0] + x_sum[1]));
}

// F32, F16, BF16: a word of a step is four weights.
float dot_plain(const uint type, uint64_t row, uint step) {
  const uint w = step_words(type);
  vec4 sums = vec4(0);
  uint q[8];
  [[unroll]] for (uint i = 0; i < w; ++i) {
    vec4 weights;
    if (type == kF32) {
      weights = uintBitsToFloat(Quads(row).v[step * w + i]);
    } else {
      words_at(row + 8ul * (step * w + i), 2, q);
      if (type == kF16) weights = vec4(unpackHalf2x16(q[0]), unpackHalf2x16(q[1]));
      else weights = uintBitsToFloat(uvec4(q[0] << 16, q[0] & 0xffff0000u, q[1] << 16, q[1] & 0xffff0000u));
    }
    sums = fma(weights, x_of[i], sums);
  }
  return sums.x + sums.y + sums.z + sums.w;
}

#ifdef HOTSET_ALL_TYPES
// A word of a step is four weights here too.
float dot_rare(const uint type, uint64_t row, uint step) {
  const uint w = step_words(type), steps = 8 / w;
  vec4 weights[8], sums = vec4(0);
  expand_quads(type, row, step / steps, step % steps * w, w, weights);
  [[unroll]] for (uint i = 0; i < w; ++i) sums = fma(weights[i], x_of[i], sums);
  return sums.x + sums.y + sums.z + sums.w;
}
#endif

float dot_step(const uint type, uint64_t row, uint step) {
#ifdef HOTSET_ALL_TYPES
  if (is_rare(type)) return dot_rare(type, row, step);
#endif
  if (type == kQ4_K || type == kQ5_K) return dot_q4_q5(type, row, step);
  if (type == kQ6_K) return dot_q6(row, step);
  if (type == kMXFP4) return dot_mxfp4(row, step);
  if (type == kQ8_0 || type == kQ4_0) return dot_small(type, row, step);
  return dot_plain(type, row, step);
}
