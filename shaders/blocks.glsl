// Rows of quantised weights as they lie in a GGUF file, read by address and expanded exactly to float32.
//
// Layouts and formulas: runtime/format/quant.h. `type` is always a specialisation constant, so one branch is left. A row
// address is a multiple of 16 where blocks are (Q4_K, Q5_K, F32), of 1 for MXFP4, of 2 for the others: Vulkan wants aligned
// loads, so words of those are put together from the two aligned words around them. Nothing past a row's last aligned
// word is read.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_GOOGLE_include_directive : require

#include "shaders/params.h"

const uint kF32 = 0;
const uint kF16 = 1;
const uint kQ4_0 = 2;
const uint kQ8_0 = 8;
const uint kQ4_K = 12;
const uint kQ5_K = 13;
const uint kQ6_K = 14;
const uint kBF16 = 30;
const uint kMXFP4 = 39;

layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer Words { uint v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Quads { uvec4 v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Floats { float v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Vec4s { vec4 v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Addresses { uint64_t v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer ControlBlock { Control v; };

// A kernel that reads weights says what its push constants are before it includes this: #define HOTSET_PUSH MatvecPush p. It is
// built twice, the second time with HOTSET_ALL_TYPES for the types of rare_blocks.glsl, so that the others' pipelines stay small.
#ifdef HOTSET_PUSH
layout(push_constant, scalar) uniform Push {
  HOTSET_PUSH;
#ifdef HOTSET_ALL_TYPES
  layout(offset = kBooksPushOffset) uint64_t codebooks;
#endif
};
#endif

bool stopped(uint64_t control) { return ControlBlock(control).v.stop != 0; }

// Four unsigned or signed bytes of a word, lowest first.
vec4 bytes(uint v) { return vec4(ivec4(v & 0xffu, (v >> 8) & 0xffu, (v >> 16) & 0xffu, v >> 24)); }
vec4 signed_bytes(uint v) { return vec4(ivec4(int(v << 24) >> 24, int(v << 16) >> 24, int(v << 8) >> 24, int(v) >> 24)); }
float half_bits(uint v) { return unpackHalf2x16(v).x; }

bool is_odd_word(uint64_t address) { return (uint(address) & 2u) != 0; }
uint straddle(uint low, uint high) { return (low >> 16) | (high << 16); }
// The words at address, address + 4, ...; the address is even.
uint word_at(uint64_t address) {
  Words words = Words(address & ~3ul);
  const uint low = words.v[0];
  return is_odd_word(address) ? straddle(low, words.v[1]) : low;
}
void words_at(uint64_t address, const uint count, out uint words[8]) {
  const bool odd = is_odd_word(address);
  Words from = Words(address & ~3ul);
  uint low = from.v[0];
  [[unroll]] for (uint i = 0; i < count; ++i) {
    const uint high = from.v[i + 1 < count || odd ? i + 1 : i];
    words[i] = odd ? straddle(low, high) : low;
    low = high;
  }
}
// The words at any address.
void words_at_byte(uint64_t address, const uint count, out uint words[8]) {
  const uint shift = (uint(address) & 3u) * 8u;
  Words from = Words(address & ~3ul);
  uint low = from.v[0];
  [[unroll]] for (uint i = 0; i < count; ++i) {
    const uint high = from.v[i + 1 < count || shift != 0 ? i + 1 : i];
    words[i] = shift != 0 ? (low >> shift) | (high << (32u - shift)) : low;
    low = high;
  }
}
// The 16 bits at an even address, and the byte at any.
uint half_at(uint64_t address) { return (Words(address & ~3ul).v[0] >> ((uint(address) & 2u) * 8u)) & 0xffffu; }
uint byte_at(uint64_t address) { return (Words(address & ~3ul).v[0] >> ((uint(address) & 3u) * 8u)) & 0xffu; }

// Of MXFP4, as in runtime/format/mxfp4.h: twice the numbers in the low nibbles of a word's bytes, lowest first; half a scale.
vec4 doubled_e2m1(uint v) {
  const uvec4 nibbles = (uvec4(v) >> uvec4(0, 8, 16, 24)) & 15u;
  const ivec4 magnitudes = ivec4((uvec4(0xc8643210u) >> (4u * (nibbles & 7u))) & 15u);
  return vec4(magnitudes * (1 - ivec4((nibbles >> 2) & 2u)));
}
float half_power(uint bits) { return uintBitsToFloat(bits < 2 ? 0x00200000u << bits : (bits - 1) << 23); }

// Scales (x, y) and mins (z, w) of groups 2 pair and 2 pair + 1 of a Q4_K or Q5_K block, from its first 16 bytes.
vec4 pair_scales(uvec4 head, uint pair) {
  const uvec3 packed = head.yzw >> (16u * (pair & 1u));
  const bool upper = pair >= 2;
  const uint scales = upper ? (packed.z & 0x0f0fu) | ((packed.x >> 2) & 0x3030u) : packed.x & 0x3f3fu;
  const uint mins = upper ? ((packed.z >> 4) & 0x0f0fu) | ((packed.y >> 2) & 0x3030u) : packed.y & 0x3f3fu;
  const vec2 d = unpackHalf2x16(head.x);
  return vec4(ivec4(scales & 0xffu, scales >> 8, mins & 0xffu, mins >> 8)) * d.xxyy;
}

uint block_size_bytes(const uint type) {
  switch (type) {
    case kQ8_0: return 34;
    case kQ4_0: return 18;
    case kMXFP4: return 17;
    case kQ4_K: return 144;
    case kQ5_K: return 176;
    case kQ6_K: return 210;
    case kF32: return 4;
  }
  return 2;
}

// Weight k of a row of F32, F16 or BF16.
float weight_at(const uint type, uint64_t row, uint k) {
  if (type == kF32) return Floats(row).v[k];
  const uint bits = half_at(row + 2ul * k);
  return type == kF16 ? half_bits(bits) : uintBitsToFloat(bits << 16);
}

#ifdef HOTSET_ALL_TYPES
#include "shaders/rare_blocks.glsl"
#endif

// Weights 32 group .. 32 group + 31 of a row.
void expand32(const uint type, uint64_t row, uint group, out vec4 w[8]) {
  uint q[8];
#ifdef HOTSET_ALL_TYPES
  if (is_rare(type)) {
    expand_quads(type, row, group, 0, 8, w);
  } else
#endif
  if (type == kF32) {
    [[unroll]] for (uint i = 0; i < 8; ++i) w[i] = uintBitsToFloat(Quads(row + 128ul * group).v[i]);
  } else if (type == kF16 || type == kBF16) {
    [[unroll]] for (uint part = 0; part < 2; ++part) {
      words_at(row + 64ul * group + 32ul * part, 8, q);
      [[unroll]] for (uint i = 0; i < 4; ++i) {
        if (type == kF16) {
          w[4 * part + i] = vec4(unpackHalf2x16(q[2 * i]), unpackHalf2x16(q[2 * i + 1]));
        } else {
          w[4 * part + i] = uintBitsToFloat(uvec4(q[2 * i] << 16, q[2 * i] & 0xffff0000u, q[2 * i + 1] << 16, q[2 * i + 1] & 0xffff0000u));
        }
      }
    }
  } else if (type == kQ8_0) {
    const uint64_t block = row + 34ul * group;
    const float d = half_bits(half_at(block));
    words_at(block + 2, 8, q);
    [[unroll]] for (uint i = 0; i < 8; ++i) w[i] = d * signed_bytes(q[i]);
  } else if (type == kQ4_0) {
    const uint64_t block = row + 18ul * group;
    const float d = half_bits(half_at(block));
    words_at(block + 2, 4, q);
    [[unroll]] for (uint i = 0; i < 8; ++i) w[i] = d * (bytes((q[i & 3] >> (i & 4)) & 0x0f0f0f0fu) - 8.0);
  } else if (type == kMXFP4) {
    const uint64_t block = row + 17ul * group;
    const float scale = half_power(byte_at(block));
    words_at_byte(block + 1, 4, q);
    [[unroll]] for (uint i = 0; i < 8; ++i) w[i] = scale * doubled_e2m1(q[i & 3] >> (i & 4));
  } else if (type == kQ4_K || type == kQ5_K) {
    Quads block = Quads(row + (type == kQ4_K ? 144ul : 176ul) * (group / 8));
    const uint pair = group % 8 / 2;
    const vec4 scales = pair_scales(block.v[0], pair);
    const bool upper = (group & 1) != 0;
    const float scale = upper ? scales.y : scales.x;
    const float low = upper ? scales.w : scales.z;
    [[unroll]] for (uint i = 0; i < 2; ++i) {
      const uvec4 nibbles = (block.v[(type == kQ4_K ? 1 : 3) + 2 * pair + i] >> (upper ? 4 : 0)) & 0x0f0f0f0fu;
      uvec4 fifth = uvec4(0);
      if (type == kQ5_K) fifth = ((block.v[1 + i] >> (group % 8)) & 0x01010101u) << 4;
      [[unroll]] for (uint j = 0; j < 4; ++j) w[4 * i + j] = scale * bytes(nibbles[j] | fifth[j]) - low;
    }
  } else {
    const uint64_t block = row + 210ul * (group / 8);
    const uint half_index = group % 8 / 4;
    const uint quarter = group % 4;
    const float d = half_bits(half_at(block + 208));
    const uint scales = half_at(block + 192 + 2 * (group % 8));
    const vec2 scale = d * vec2(ivec2(int(scales << 24) >> 24, int(scales << 16) >> 24));
    uint high[8];
    words_at(block + 64 * half_index + 32 * (quarter & 1), 8, q);
    words_at(block + 128 + 32 * half_index, 8, high);
    [[unroll]] for (uint i = 0; i < 8; ++i) {
      const uint bits = ((q[i] >> (quarter / 2 * 4)) & 0x0f0f0f0fu) | (((high[i] >> (quarter * 2)) & 0x03030303u) << 4);
      w[i] = scale[i / 4] * (bytes(bits) - 32.0);
    }
  }
}
