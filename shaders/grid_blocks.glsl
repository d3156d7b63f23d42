// Blocks of indices into code books, of rare_blocks.glsl: layouts in runtime/format/whole_blocks.cc. The books lie in memory at
// `codebooks`, in words: runtime/compute/codebook_words.h.
const uint kIQ2_XXS = 16;
const uint kIQ2_XS = 17;
const uint kIQ3_XXS = 18;
const uint kIQ1_S = 19;
const uint kIQ3_S = 21;
const uint kIQ2_S = 22;
const uint kIQ1_M = 29;

bool has_grid(const uint type) {
  return type == kIQ2_XXS || type == kIQ2_XS || type == kIQ2_S || type == kIQ3_XXS || type == kIQ3_S || type == kIQ1_S || type == kIQ1_M;
}

uint book_word(uint at) { return Words(codebooks).v[at]; }

// The eight signs that 7 bits stand for: the last makes their number even.
uint even_signs(uint bits) { return bits | ((uint(bitCount(bits)) & 1u) << 7); }

vec4 with_signs(uint magnitudes, uint signs) {
  return bytes(magnitudes) * vec4(1 - 2 * ivec4((uvec4(signs) >> uvec4(0, 1, 2, 3)) & 1u));
}

// Byte k of eight.
uint byte_of(uint low, uint high, uint k) { return ((k < 4 ? low : high) >> (8 * (k & 3))) & 0xffu; }

// IQ2: an index stands for two quads.
void expand_iq2(const uint type, uint64_t row, uint group, uint first, const uint quads, out vec4 w[8]) {
  const uint64_t block = row + uint64_t(type == kIQ2_XXS ? 66 : type == kIQ2_XS ? 74 : 82) * (group / 8);
  const uint s = group % 8;
  const float d = half_bits(half_at(block)) * 0.25;
  uint q[8], highs = 0, scales;
  if (type == kIQ2_S) {
    q[0] = word_at(block + 2 + 4 * s);
    q[1] = word_at(block + 34 + 4 * s);
    highs = byte_at(block + 66 + s);
    scales = byte_at(block + 74 + s);
  } else {
    words_at(block + 2 + 8 * s, 2, q);
    scales = type == kIQ2_XXS ? (q[1] >> 28) * 17u : byte_at(block + 66 + s);
  }
  [[unroll]] for (uint i = 0; i < quads; ++i) {
    const uint quad = first + i, l = quad / 2;
    uint index, signs;
    if (type == kIQ2_XXS) {
      index = kIq2XxsBook + 2 * ((q[0] >> (8 * l)) & 255u);
      signs = even_signs((q[1] >> (7 * l)) & 127u);
    } else if (type == kIQ2_XS) {
      const uint bits = (l < 2 ? q[0] : q[1]) >> (16 * (l & 1));
      index = kIq2XsBook + 2 * (bits & 511u);
      signs = even_signs((bits >> 9) & 127u);
    } else {
      index = kIq2SBook + 2 * (((q[0] >> (8 * l)) & 255u) | (((highs >> (2 * l)) & 3u) << 8));
      signs = q[1] >> (8 * l);
    }
    const float scale = d * (0.5 + float((scales >> (quad & 4)) & 15u));
    w[i] = scale * with_signs(book_word(index + (quad & 1)), signs >> (4 * (quad & 1)));
  }
}

// IQ3: an index stands for a quad.
void expand_iq3(const uint type, uint64_t row, uint group, uint first, const uint quads, out vec4 w[8]) {
  const uint64_t block = row + (type == kIQ3_XXS ? 98ul : 110ul) * (group / 8);
  const uint s = group % 8;
  uint q[8];
  words_at(block + 2 + 8 * s, 2, q);
  const uint rest = word_at(block + (type == kIQ3_XXS ? 66 : 74) + 4 * s);
  const uint ninths = type == kIQ3_XXS ? 0 : byte_at(block + 66 + s);
  float scale = half_bits(half_at(block));
  if (type == kIQ3_XXS) scale *= 0.5 * (0.5 + float(rest >> 28));
  else scale *= float(2u * ((byte_at(block + 106 + s / 2) >> (4 * (s & 1))) & 15u) + 1u);
  [[unroll]] for (uint i = 0; i < quads; ++i) {
    const uint quad = first + i, index = byte_of(q[0], q[1], quad);
    const uint signs = even_signs((rest >> (7 * (quad / 2))) & 127u) >> (4 * (quad & 1));
    if (type == kIQ3_XXS) w[i] = scale * with_signs(book_word(kIq3XxsBook + index), signs);
    else w[i] = scale * with_signs(book_word(kIq3SBook + (index | (((ninths >> quad) & 1u) << 8))), rest >> (4 * quad));
  }
}

// d of an IQ1_M block: the top four bits of four 16-bit numbers.
float iq1_m_scale(uint64_t block) {
  const uint low = word_at(block + 48), high = word_at(block + 52);
  return half_bits(((low >> 12) & 0xfu) | ((low >> 24) & 0xf0u) | ((high >> 4) & 0xf00u) | ((high >> 16) & 0xf000u));
}

// IQ1: an index stands for two quads of -1, 0, 1, which move up or down by an eighth.
void expand_iq1(const uint type, uint64_t row, uint group, uint first, const uint quads, out vec4 w[8]) {
  const uint64_t block = row + (type == kIQ1_S ? 50ul : 56ul) * (group / 8);
  const uint s = group % 8;
  const uint indices = word_at(block + (type == kIQ1_S ? 2 : 0) + 4 * s);
  const uint rest = half_at(block + (type == kIQ1_S ? 34 : 32) + 2 * s);
  const uint scales = type == kIQ1_S ? ((rest >> 12) & 7u) * 9u : half_at(block + 48 + s / 2 * 2) >> (6 * (s & 1));
  const float d = type == kIQ1_S ? half_bits(half_at(block)) : iq1_m_scale(block);
  [[unroll]] for (uint i = 0; i < quads; ++i) {
    const uint quad = first + i, l = quad / 2;
    const uint highs = type == kIQ1_S ? (rest >> (3 * l)) & 7u : (rest >> (4 * l)) & 7u;
    const bool down = type == kIQ1_S ? (rest & 0x8000u) != 0 : ((rest >> (4 * l)) & 8u) != 0;
    const uint numbers = book_word(kIq1Book + (((indices >> (8 * l)) & 255u) | (highs << 8))) >> (4 * (quad & 1));
    const float scale = d * float(2u * ((scales >> (quad >= 4 ? 3 : 0)) & 7u) + 1u);
    w[i] = scale * (bytes(numbers & 0x0f0f0f0fu) - (down ? 1.125 : 0.875));
  }
}

void expand_grid(const uint type, uint64_t row, uint group, uint first, const uint quads, out vec4 w[8]) {
  if (type == kIQ1_S || type == kIQ1_M) expand_iq1(type, row, group, first, quads, w);
  else if (type == kIQ3_XXS || type == kIQ3_S) expand_iq3(type, row, group, first, quads, w);
  else expand_iq2(type, row, group, first, quads, w);
}
