#include "runtime/format/whole_blocks.h"

#include <cstring>

#include "runtime/format/codebooks.h"
#include "runtime/format/half.h"
#include "runtime/format/mxfp4.h"

namespace hotset {
namespace {

uint32_t load_u16(const uint8_t* bytes) { return bytes[0] | static_cast<uint32_t>(bytes[1]) << 8; }
uint32_t load_u32(const uint8_t* bytes) { return load_u16(bytes) | load_u16(bytes + 2) << 16; }
float load_half(const uint8_t* bytes) { return half_to_float(static_cast<uint16_t>(load_u16(bytes))); }

void set_no_mins(WholeBlock& out) {
  out.dmin = 0;
  std::memset(out.mins, 0, sizeof out.mins);
}

// ---- Q2_K, Q3_K, TQ1_0, TQ2_0: bit planes

// Bit pairs: each half of 128 weights has 32 bytes, whose pair k belongs to weights 32 k ..
uint32_t pair_of(const uint8_t* quants, uint32_t i) { return quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3; }

void expand_q2_k(const uint8_t* block, WholeBlock& out) {
  out.d = load_half(block + 80);
  out.dmin = load_half(block + 82);
  for (uint32_t g = 0; g < 16; ++g) {
    out.scales[g] = block[g] & 15;
    out.mins[g] = block[g] >> 4;
  }
  for (uint32_t i = 0; i < 256; ++i) out.quants[i] = static_cast<int8_t>(pair_of(block + 16, i));
}

// Six-bit scales: the low nibbles of eight bytes, then their high ones; two high bits each in four bytes more.
void expand_q3_k(const uint8_t* block, WholeBlock& out) {
  const uint8_t* scales = block + 96;
  out.d = load_half(block + 108);
  set_no_mins(out);
  for (uint32_t g = 0; g < 16; ++g) {
    const uint32_t low = scales[g % 8] >> (g / 8 * 4) & 15, high = scales[8 + g % 4] >> (g / 4 * 2) & 3;
    out.scales[g] = static_cast<int16_t>(static_cast<int>(low | high << 4) - 32);
  }
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t high = block[i % 32] >> (i / 32) & 1;
    out.quants[i] = static_cast<int8_t>(static_cast<int>(pair_of(block + 32, i) | high << 2) - 4);
  }
}

void set_single_scale(float d, WholeBlock& out) {
  out.d = d;
  set_no_mins(out);
  for (int16_t& scale : out.scales) scale = 1;
}

void expand_tq2_0(const uint8_t* block, WholeBlock& out) {
  set_single_scale(load_half(block + 64), out);
  for (uint32_t i = 0; i < 256; ++i) out.quants[i] = static_cast<int8_t>(static_cast<int>(pair_of(block, i)) - 1);
}

// Digit n of a byte that is a fraction to base 3: -1, 0, 1.
int8_t trit_of(uint8_t byte, uint32_t n) {
  constexpr uint8_t kPowers[5] = {1, 3, 9, 27, 81};
  const uint32_t rest = (byte * kPowers[n]) & 255u;
  return static_cast<int8_t>(static_cast<int>(rest * 3 >> 8) - 1);
}

// Five digits a byte: 32 bytes hold weights 0..159, digit by digit, 16 bytes 160..239; the last 16 are four digits of four bytes.
void expand_tq1_0(const uint8_t* block, WholeBlock& out) {
  set_single_scale(load_half(block + 52), out);
  for (uint32_t i = 0; i < 160; ++i) out.quants[i] = trit_of(block[i % 32], i / 32);
  for (uint32_t i = 0; i < 80; ++i) out.quants[160 + i] = trit_of(block[32 + i % 16], i / 16);
  for (uint32_t i = 0; i < 16; ++i) out.quants[240 + i] = trit_of(block[48 + i % 4], i / 4);
}

// ---- IQ4_XS

void expand_iq4_xs(const uint8_t* block, WholeBlock& out) {
  out.d = load_half(block);
  set_no_mins(out);
  const uint32_t high = load_u16(block + 2);
  for (uint32_t g = 0; g < 8; ++g) {
    const uint32_t scale = (block[4 + g / 2] >> (g % 2 * 4) & 15u) | (high >> (2 * g) & 3) << 4;
    out.scales[2 * g] = out.scales[2 * g + 1] = static_cast<int16_t>(static_cast<int>(scale) - 32);
    for (uint32_t i = 0; i < 16; ++i) {
      const uint8_t pair = block[8 + 16 * g + i];
      out.quants[32 * g + i] = kIq4Values[pair & 15];
      out.quants[32 * g + 16 + i] = kIq4Values[pair >> 4];
    }
  }
}

// ---- IQ2 and IQ3: magnitudes of a code book, signs beside them

// Scale 2 s + 1 in place of s + 1/2, and d halved.
int16_t odd_scale(uint32_t bits) { return static_cast<int16_t>(2 * bits + 1); }

template <class Entry>
void put_signed(Entry magnitudes, uint32_t signs, int8_t* out) {
  for (uint32_t i = 0; i < sizeof(Entry); ++i) {
    const int magnitude = static_cast<int>(magnitudes >> (8 * i) & 255);
    out[i] = static_cast<int8_t>(signs >> i & 1 ? -magnitude : magnitude);
  }
}

// Each 32 weights: four indices, four times 7 bits of signs, 4 bits of scale.
void expand_iq2_xxs(const uint8_t* block, WholeBlock& out) {
  out.d = load_half(block) * 0.125f;
  set_no_mins(out);
  for (uint32_t g = 0; g < 8; ++g) {
    const uint8_t* indices = block + 2 + 8 * g;
    const uint32_t rest = load_u32(indices + 4);
    out.scales[2 * g] = out.scales[2 * g + 1] = odd_scale(rest >> 28);
    for (uint32_t l = 0; l < 4; ++l) put_signed(kIq2XxsGrid[indices[l]], kEvenSigns[rest >> (7 * l) & 127], out.quants + 32 * g + 8 * l);
  }
}

void set_nibble_scales(const uint8_t* scales, WholeBlock& out) {
  for (uint32_t g = 0; g < 16; ++g) out.scales[g] = odd_scale(scales[g / 2] >> (g % 2 * 4) & 15);
}

// Each 8 weights: 9 bits of index, 7 of signs.
void expand_iq2_xs(const uint8_t* block, WholeBlock& out) {
  out.d = load_half(block) * 0.125f;
  set_no_mins(out);
  set_nibble_scales(block + 66, out);
  for (uint32_t l = 0; l < 32; ++l) {
    const uint32_t bits = load_u16(block + 2 + 2 * l);
    put_signed(kIq2XsGrid[bits & 511], kEvenSigns[bits >> 9], out.quants + 8 * l);
  }
}

// Each 8 weights: a byte of index, a byte of signs, two high bits of the index.
void expand_iq2_s(const uint8_t* block, WholeBlock& out) {
  out.d = load_half(block) * 0.125f;
  set_no_mins(out);
  set_nibble_scales(block + 74, out);
  for (uint32_t l = 0; l < 32; ++l) {
    const uint32_t high = block[66 + l / 4] >> (l % 4 * 2) & 3u;
    put_signed(kIq2SGrid[block[2 + l] | high << 8], block[34 + l], out.quants + 8 * l);
  }
}

// Each 32 weights: eight indices; elsewhere four times 7 bits of signs, 4 bits of scale.
void expand_iq3_xxs(const uint8_t* block, WholeBlock& out) {
  out.d = load_half(block) * 0.25f;
  set_no_mins(out);
  for (uint32_t g = 0; g < 8; ++g) {
    const uint32_t rest = load_u32(block + 66 + 4 * g);
    out.scales[2 * g] = out.scales[2 * g + 1] = odd_scale(rest >> 28);
    for (uint32_t k = 0; k < 8; ++k) {
      const uint32_t signs = uint32_t{kEvenSigns[rest >> (k / 2 * 7) & 127]} >> (k % 2 * 4);
      put_signed(kIq3XxsGrid[block[2 + 8 * g + k]], signs, out.quants + 32 * g + 4 * k);
    }
  }
}

// Each 4 weights: a byte of index, a ninth bit of it, half a byte of signs.
void expand_iq3_s(const uint8_t* block, WholeBlock& out) {
  out.d = load_half(block);
  set_no_mins(out);
  for (uint32_t g = 0; g < 8; ++g) out.scales[2 * g] = out.scales[2 * g + 1] = odd_scale(block[106 + g / 2] >> (g % 2 * 4) & 15);
  for (uint32_t k = 0; k < 64; ++k) {
    const uint32_t high = block[66 + k / 8] >> (k % 8) & 1u;
    put_signed(kIq3SGrid[block[2 + k] | high << 8], uint32_t{block[74 + k / 2]} >> (k % 2 * 4), out.quants + 4 * k);
  }
}

// ---- IQ1: numbers -1, 0, 1 of a code book, all moved up or down by an eighth; here times 8

void put_moved(uint64_t numbers, bool down, int8_t* out) {
  for (uint32_t i = 0; i < 8; ++i) out[i] = static_cast<int8_t>(static_cast<int>(numbers >> (8 * i) & 255) - 8 + (down ? -1 : 1));
}

// Each 32 weights: four bytes of index; 16 bits of three high bits each, scale, direction.
void expand_iq1_s(const uint8_t* block, WholeBlock& out) {
  out.d = load_half(block) * 0.125f;
  set_no_mins(out);
  for (uint32_t g = 0; g < 8; ++g) {
    const uint32_t rest = load_u16(block + 34 + 2 * g);
    out.scales[2 * g] = out.scales[2 * g + 1] = odd_scale(rest >> 12 & 7);
    for (uint32_t l = 0; l < 4; ++l) {
      put_moved(kIq1Grid[block[2 + 4 * g + l] | (rest >> (3 * l) & 7) << 8], (rest & 0x8000) != 0, out.quants + 32 * g + 8 * l);
    }
  }
}

// Each 8 weights: a byte of index, three high bits of it and a direction. Four times 16 bits: four scales of 3 bits and a
// quarter of d.
void expand_iq1_m(const uint8_t* block, WholeBlock& out) {
  const uint8_t* scales = block + 48;
  uint32_t d = 0;
  for (uint32_t i = 0; i < 4; ++i) d |= load_u16(scales + 2 * i) >> 12 << (4 * i);
  out.d = half_to_float(static_cast<uint16_t>(d)) * 0.125f;
  set_no_mins(out);
  for (uint32_t g = 0; g < 16; ++g) out.scales[g] = odd_scale(load_u16(scales + g / 4 * 2) >> (g % 4 * 3) & 7);
  for (uint32_t l = 0; l < 32; ++l) {
    const uint32_t rest = block[32 + l / 2] >> (l % 2 * 4) & 15u;
    put_moved(kIq1Grid[block[l] | (rest & 7) << 8], (rest & 8) != 0, out.quants + 8 * l);
  }
}

// ---- blocks of 32, 64 and 128

void set_scale(float scale, WholeGroup& out) {
  out.scales[0] = out.scales[1] = scale;
  out.min = 0;
}

void put_nibbles(const uint8_t* pairs, uint32_t fifth_bits, int offset, WholeGroup& out) {
  for (uint32_t i = 0; i < 16; ++i) {
    out.quants[i] = static_cast<int8_t>(static_cast<int>((pairs[i] & 15) | (fifth_bits >> i & 1) << 4) - offset);
    out.quants[16 + i] = static_cast<int8_t>(static_cast<int>(pairs[i] >> 4 | (fifth_bits >> (16 + i) & 1) << 4) - offset);
  }
}

void expand_q4_1(const uint8_t* block, uint32_t, WholeGroup& out) {
  set_scale(load_half(block), out);
  out.min = -load_half(block + 2);
  put_nibbles(block + 4, 0, 0, out);
}

void expand_q5_0(const uint8_t* block, uint32_t, WholeGroup& out) {
  set_scale(load_half(block), out);
  put_nibbles(block + 6, load_u32(block + 2), 16, out);
}

void expand_q5_1(const uint8_t* block, uint32_t, WholeGroup& out) {
  set_scale(load_half(block), out);
  out.min = -load_half(block + 2);
  put_nibbles(block + 8, load_u32(block + 4), 0, out);
}

void expand_iq4_nl(const uint8_t* block, uint32_t, WholeGroup& out) {
  set_scale(load_half(block), out);
  for (uint32_t i = 0; i < 16; ++i) {
    out.quants[i] = kIq4Values[block[2 + i] & 15];
    out.quants[16 + i] = kIq4Values[block[2 + i] >> 4];
  }
}

void expand_nvfp4(const uint8_t* block, uint32_t index, WholeGroup& out) {
  out.min = 0;
  for (uint32_t side = 0; side < 2; ++side) {
    out.scales[side] = nvfp4_half_scale(block[2 * index + side]);
    const uint8_t* pairs = block + 4 + 16 * index + 8 * side;
    for (uint32_t i = 0; i < 8; ++i) {
      out.quants[16 * side + i] = kMxfp4Doubled[pairs[i] & 15];
      out.quants[16 * side + 8 + i] = kMxfp4Doubled[pairs[i] >> 4];
    }
  }
}

void expand_q1_0(const uint8_t* block, uint32_t index, WholeGroup& out) {
  set_scale(load_half(block), out);
  const uint32_t bits = load_u32(block + 2 + 4 * index);
  for (uint32_t i = 0; i < 32; ++i) out.quants[i] = static_cast<int8_t>(bits >> i & 1 ? 1 : -1);
}

void expand_q2_0(const uint8_t* block, uint32_t index, WholeGroup& out) {
  set_scale(load_half(block), out);
  for (uint32_t i = 0; i < 32; ++i) {
    const int pair = block[2 + 8 * index + i / 4] >> (i % 4 * 2) & 3;
    out.quants[i] = static_cast<int8_t>(pair - 1);
  }
}

}  // namespace

ExpandBlock block_expander(BlockType type) {
  switch (type) {
    case BlockType::kQ2_K: return expand_q2_k;
    case BlockType::kQ3_K: return expand_q3_k;
    case BlockType::kIQ1_S: return expand_iq1_s;
    case BlockType::kIQ1_M: return expand_iq1_m;
    case BlockType::kIQ2_XXS: return expand_iq2_xxs;
    case BlockType::kIQ2_XS: return expand_iq2_xs;
    case BlockType::kIQ2_S: return expand_iq2_s;
    case BlockType::kIQ3_XXS: return expand_iq3_xxs;
    case BlockType::kIQ3_S: return expand_iq3_s;
    case BlockType::kIQ4_XS: return expand_iq4_xs;
    case BlockType::kTQ1_0: return expand_tq1_0;
    case BlockType::kTQ2_0: return expand_tq2_0;
    default: return nullptr;
  }
}

ExpandGroup group_expander(BlockType type) {
  switch (type) {
    case BlockType::kQ4_1: return expand_q4_1;
    case BlockType::kQ5_0: return expand_q5_0;
    case BlockType::kQ5_1: return expand_q5_1;
    case BlockType::kIQ4_NL: return expand_iq4_nl;
    case BlockType::kNVFP4: return expand_nvfp4;
    case BlockType::kQ1_0: return expand_q1_0;
    case BlockType::kQ2_0: return expand_q2_0;
    default: return nullptr;
  }
}

}  // namespace hotset
