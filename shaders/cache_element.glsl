// Elements of KV caches, stored. Needs shaders/lanes.glsl.

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
