// The block types that the second build of a weight shader knows beside those of blocks.glsl: layouts in runtime/format/quant.h.
//
// They are expanded by quads, four neighbouring weights, so that on a GPU neighbouring lanes take neighbouring quads, and on a
// software device one lane loads and unpacks a whole group of 32 once.
const uint kQ4_1 = 3;
const uint kQ5_0 = 6;
const uint kQ5_1 = 7;
const uint kQ2_K = 10;
const uint kQ3_K = 11;
const uint kIQ4_NL = 20;
const uint kIQ4_XS = 23;
const uint kTQ1_0 = 34;
const uint kTQ2_0 = 35;
const uint kNVFP4 = 40;
const uint kQ1_0 = 41;
const uint kQ2_0 = 42;

bool is_rare(const uint type) {
  return type != kF32 && type != kF16 && type != kBF16 && type != kQ8_0 && type != kQ4_0 && type != kMXFP4 && type != kQ4_K && type != kQ5_K &&
         type != kQ6_K;
}

#include "shaders/grid_blocks.glsl"

// Bits 0..3 of v, each the lowest of a byte.
uint spread_bits(uint v) { return ((v & 15u) * 0x00204081u) & 0x01010101u; }

// The numbers of IQ4 that the low nibbles of a word's bytes count: runtime/format/codebooks.h.
vec4 iq4_numbers(uint v) {
  const uvec4 k = (uvec4(v) >> uvec4(0, 8, 16, 24)) & 15u;
  const bvec4 odd_word = notEqual(k & 4u, uvec4(0)), upper = notEqual(k & 8u, uvec4(0));
  const uvec4 low = mix(uvec4(0xbfad9881u), uvec4(0xf6eaddcfu), odd_word), high = mix(uvec4(0x26190d01u), uvec4(0x71594535u), odd_word);
  return vec4(ivec4(mix(low, high, upper) << (24u - 8u * (k & 3u))) >> 24);
}

// Q4_1, Q5_0, Q5_1, IQ4_NL, IQ4_XS: 16 bytes whose low nibbles are quads 0..3, high ones 4..7.
void expand_nibbles(const uint type, uint64_t row, uint group, uint first, const uint quads, out vec4 w[8]) {
  const uint size = type == kQ4_1 ? 20 : type == kQ5_0 ? 22 : type == kQ5_1 ? 24 : type == kIQ4_NL ? 18 : 136;
  const uint64_t block = row + uint64_t(size) * (type == kIQ4_XS ? group / 8 : group);
  const uint quants = type == kQ4_1 ? 4 : type == kQ5_0 ? 6 : type == kQ5_1 ? 8 : type == kIQ4_NL ? 2 : 8 + 16 * (group % 8);
  const uint count = min(quads, 4);
  uint q[8];
  words_at(block + quants + 4 * (first & 3), count, q);
  float scale, low = 0;
  uint fifth = 0;
  if (type == kQ4_1 || type == kQ5_1) {
    const vec2 both = unpackHalf2x16(word_at(block));
    scale = both.x;
    low = both.y;
    if (type == kQ5_1) fifth = word_at(block + 4);
  } else if (type == kIQ4_XS) {
    const uint head = word_at(block), lows = word_at(block + 4), s = group % 8;
    const uint bits = ((lows >> (4 * s)) & 15u) | (((head >> (16 + 2 * s)) & 3u) << 4);
    scale = half_bits(head) * float(int(bits) - 32);
  } else {
    scale = half_bits(half_at(block));
    if (type == kQ5_0) fifth = word_at(block + 2);
  }
  [[unroll]] for (uint i = 0; i < quads; ++i) {
    const uint quad = first + i;
    uint n = (q[i % count] >> (quad & 4)) & 0x0f0f0f0fu;
    if (type == kQ5_0 || type == kQ5_1) n |= spread_bits(fifth >> (4 * quad)) << 4;
    if (type == kIQ4_NL || type == kIQ4_XS) w[i] = scale * iq4_numbers(n);
    else if (type == kQ5_0) w[i] = scale * (bytes(n) - 16.0);
    else w[i] = scale * bytes(n) + low;
  }
}

// Half of an E4M3 number: runtime/format/mxfp4.h.
float half_e4m3(uint bits) {
  const uint magnitude = bits & 127u;
  if (magnitude == 127) return 0;
  return magnitude < 8 ? float(magnitude) / 1024.0 : uintBitsToFloat((magnitude << 20) + (119u << 23));
}

// Each 16 weights have a scale and 8 bytes, whose low nibbles are two quads and the high ones two more.
void expand_nvfp4(uint64_t row, uint group, uint first, const uint quads, out vec4 w[8]) {
  const uint64_t block = row + 36ul * (group / 2);
  const uint count = quads == 8 ? 4 : min(quads, 2);
  uint q[8];
  words_at(block + 4 + 16 * (group % 2) + 8 * (first >> 2) + (quads == 1 ? 4 * (first & 1) : 0), count, q);
  const uint scales = half_at(block + 2 * (group % 2));
  [[unroll]] for (uint i = 0; i < quads; ++i) {
    const uint quad = first + i, word = quads == 1 ? 0 : quads == 8 ? 2 * (i >> 2) + (i & 1) : i & 1;
    w[i] = half_e4m3(scales >> (8 * (quad >> 2))) * doubled_e2m1(q[word] >> (4 * ((quad >> 1) & 1)));
  }
}

// Q2_K, Q3_K, TQ2_0: each half of 256 weights has 32 bytes, whose bit pair k is group k.
void expand_pairs(const uint type, uint64_t row, uint group, uint first, const uint quads, out vec4 w[8]) {
  const uint64_t block = row + uint64_t(type == kQ2_K ? 84 : type == kQ3_K ? 110 : 66) * (group / 8);
  const uint s = group % 8, shift = 2 * (s % 4);
  uint q[8], thirds[8];
  words_at(block + (type == kQ2_K ? 16 : type == kQ3_K ? 32 : 0) + 32 * (s / 4) + 4 * first, quads, q);
  if (type == kQ3_K) words_at(block + 4 * first, quads, thirds);
  vec2 scale, low = vec2(0);  // of quads 0..3 and 4..7
  if (type == kQ2_K) {
    const uint bits = half_at(block + 2 * s);
    const vec2 d = unpackHalf2x16(word_at(block + 80));
    scale = d.x * vec2(bits & 15u, (bits >> 8) & 15u);
    low = d.y * vec2((bits >> 4) & 15u, bits >> 12);
  } else if (type == kQ3_K) {
    const uint lows = half_at(block + 96 + (2 * s) % 8) >> (s & 4), highs = half_at(block + 104 + (2 * s) % 4) >> (s / 2 * 2);
    const uvec2 bits = (uvec2(lows, lows >> 8) & 15u) | ((uvec2(highs, highs >> 8) & 3u) << 4);
    scale = half_bits(half_at(block + 108)) * vec2(ivec2(bits) - 32);
  } else {
    scale = vec2(half_bits(half_at(block + 64)));
  }
  [[unroll]] for (uint i = 0; i < quads; ++i) {
    uint n = (q[i] >> shift) & 0x03030303u;
    if (type == kQ3_K) n |= ((thirds[i] >> s) & 0x01010101u) << 2;
    const bool upper = first + i >= 4;
    const float one = upper ? scale.y : scale.x;
    if (type == kQ2_K) w[i] = one * bytes(n) - (upper ? low.y : low.x);
    else w[i] = one * (bytes(n) - (type == kQ3_K ? 4.0 : 1.0));
  }
}

// Digit n of the four bytes of a word, fractions to base 3: 0, 1, 2 in bytes.
uint trits(uint v, uint n) {
  const uint power = n == 0 ? 1 : (0x511b0903u >> (8 * (n - 1))) & 0xffu;
  const uint even = (((v & 0x00ff00ffu) * power) & 0x00ff00ffu) * 3, odd = ((((v >> 8) & 0x00ff00ffu) * power) & 0x00ff00ffu) * 3;
  return ((even >> 8) & 0x00030003u) | (odd & 0x03000300u);
}

// TQ1_0: 32 bytes hold digits 0..4 of groups 0..4, then 16 bytes ten quads of quads, then 4 bytes the last four quads.
void expand_trits(uint64_t row, uint group, uint first, const uint quads, out vec4 w[8]) {
  const uint64_t block = row + 54ul * (group / 8);
  const uint s = group % 8;
  const float d = half_bits(half_at(block + 52));
  [[unroll]] for (uint i = 0; i < quads; ++i) {
    const uint quad = first + i;
    const bool last = s == 7 && quad >= 4;
    const uint at = s < 5 ? 4 * quad : last ? 48 : 32 + 4 * (quad & 3);
    const uint digit = s < 5 ? s : last ? quad - 4 : 2 * (s - 5) + (quad >> 2);
    w[i] = d * (bytes(trits(word_at(block + at), digit)) - 1.0);
  }
}

// Q1_0, Q2_0: weights one after another in a bit or two.
void expand_few_bits(const uint type, uint64_t row, uint group, uint first, const uint quads, out vec4 w[8]) {
  const uint together = type == kQ1_0 ? 4 : 2;  // groups in a block
  const uint64_t block = row + 18ul * (group / together);
  const float d = half_bits(half_at(block));
  uint q[8];
  words_at(block + 2 + 16 / together * (group % together), type == kQ1_0 ? 1 : 2, q);
  [[unroll]] for (uint i = 0; i < quads; ++i) {
    const uint quad = first + i;
    if (type == kQ1_0) w[i] = d * (2.0 * vec4(ivec4((uvec4(q[0]) >> (4 * quad + uvec4(0, 1, 2, 3))) & 1u)) - 1.0);
    else w[i] = d * (vec4(ivec4((uvec4(quad < 4 ? q[0] : q[1]) >> (8 * (quad & 3) + uvec4(0, 2, 4, 6))) & 3u)) - 1.0);
  }
}

// Quads first .. first + quads - 1 of weights 32 group ..; quads: 1, 2, 4 or 8, and `first` a multiple of it.
void expand_quads(const uint type, uint64_t row, uint group, uint first, const uint quads, out vec4 w[8]) {
  if (type == kNVFP4) {
    expand_nvfp4(row, group, first, quads, w);
  } else if (type == kQ2_K || type == kQ3_K || type == kTQ2_0) {
    expand_pairs(type, row, group, first, quads, w);
  } else if (type == kTQ1_0) {
    expand_trits(row, group, first, quads, w);
  } else if (type == kQ1_0 || type == kQ2_0) {
    expand_few_bits(type, row, group, first, quads, w);
  } else if (has_grid(type)) {
    expand_grid(type, row, group, first, quads, w);
  } else {
    expand_nibbles(type, row, group, first, quads, w);
  }
}
