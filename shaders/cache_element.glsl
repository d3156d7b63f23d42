// Elements of KV caches, stored and loaded. Needs shaders/lanes.glsl.

// Round to nearest, ties to even, as half.h does: a driver's own conversion may truncate.
uint to_half(float value) {
  const uint bits = floatBitsToUint(value);
  const uint sign = bits >> 16 & 0x8000u;
  const uint magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;
  if (magnitude < 113u << 23) return sign | (floatBitsToUint(uintBitsToFloat(magnitude) + 0.5) - 0x3f000000u);
  return sign | (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
}

void store(uint64_t address, uint index, bool as_half, float value) {
  if (as_half) {
    Halves(address).v[index] = uint16_t(to_half(value));
  } else {
    Floats(address).v[index] = value;
  }
}

// Elements from .. from + 8 of a row; both at multiples of 16 bytes.
void load_eight(uint64_t row, uint from, bool as_half, out float k[8]) {
  if (as_half) {
    const uvec4 words = Quads(row).v[from / 8];
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      const vec2 two = unpackHalf2x16(words[i]);
      k[2 * i] = two.x;
      k[2 * i + 1] = two.y;
    }
  } else {
    [[unroll]] for (uint i = 0; i < 2; ++i) {
      const vec4 four = Vec4s(row).v[from / 4 + i];
      [[unroll]] for (uint j = 0; j < 4; ++j) k[4 * i + j] = four[j];
    }
  }
}
