#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/compute/cpu/activation.h"
#include "runtime/compute/cpu/kernel_sets.h"
#include "runtime/format/half.h"
#include "runtime/format/mxfp4.h"
#include "runtime/format/whole_blocks.h"

namespace hotset::cpu {
namespace {

float load_half(const uint8_t* bytes) { return half_to_float(static_cast<uint16_t>(bytes[0] | bytes[1] << 8)); }

// ---- prepare

struct Rounding {
  float scale;
  float inverse;  // 0: the values round to zero
};

Rounding rounding_of(const float* x, uint32_t count) {
  uint32_t largest = 0;  // magnitudes as bits, where NaN is above infinity
  for (uint32_t i = 0; i < count; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  if (largest >= 0x7f800000u) return {std::numeric_limits<float>::quiet_NaN(), 0};
  const float amax = std::bit_cast<float>(largest);
  if (amax < 0x1p-119f) return {0, 0};
  return {amax / 127.0f, 127.0f / amax};
}

void round_values(const float* x, uint32_t count, float inverse, int8_t* out) {
  if (inverse == 0) std::memset(out, 0, count);
  else for (uint32_t i = 0; i < count; ++i) out[i] = static_cast<int8_t>(std::nearbyint(x[i] * inverse));
}

int16_t sum_of(const int8_t* values, uint32_t count) {
  int sum = 0;
  for (uint32_t i = 0; i < count; ++i) sum += values[i];
  return static_cast<int16_t>(sum);
}

void prepare_small(const float* x, uint32_t cols, SmallActivation* out) {
  std::memset(out, 0, sizeof(SmallActivation) * small_groups(cols));
  for (uint32_t block = 0; block < cols / 32; ++block, x += 32) {
    SmallActivation& group = out[block / SmallActivation::kBlocks];
    const uint32_t at = block % SmallActivation::kBlocks;
    const Rounding rounding = rounding_of(x, 32);
    round_values(x, 16, rounding.inverse, group.first[at]);
    round_values(x + 16, 16, rounding.inverse, group.second[at]);
    std::fill_n(group.scale[at], 4, rounding.scale);
    for (uint32_t i = 0; i < 4; ++i) {
      group.negative_sums[at][i] = -sum_of(group.first[at] + 4 * i, 4) - sum_of(group.second[at] + 4 * i, 4);
    }
  }
}

void prepare_super(const float* x, uint32_t cols, SuperActivation* out) {
  for (uint32_t block = 0; block < cols / SuperActivation::kValues; ++block, ++out) {
    std::memset(out, 0, sizeof *out);
    const Rounding rounding = rounding_of(x, SuperActivation::kValues);
    for (uint32_t group = 0; group < 8; ++group, x += 32) {
      int8_t* values = out->values[SuperActivation::kPlaceOfGroup[group]];
      round_values(x, 32, rounding.inverse, values);
      out->sums16[2 * group] = sum_of(values, 16);
      out->sums16[2 * group + 1] = sum_of(values + 16, 16);
      out->sums32[group] = sum_of(values, 32);
    }
    out->scale = rounding.scale;
  }
}

void prepare_float(const float* x, uint32_t cols, float* out) {
  std::copy_n(x, cols, out);
  std::fill(out + cols, out + (cols + 15) / 16 * 16, 0.0f);
}

void prepare(BlockType weight_type, const float* x, uint32_t cols, void* out) {
  switch (activation_form(weight_type)) {
    case ActivationForm::kFloat: return prepare_float(x, cols, static_cast<float*>(out));
    case ActivationForm::kSmall: return prepare_small(x, cols, static_cast<SmallActivation*>(out));
    case ActivationForm::kSuper: return prepare_super(x, cols, static_cast<SuperActivation*>(out));
  }
}

// ---- rows of plain numbers

float weight_f32(const uint8_t* at) {
  float value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
float weight_bf16(const uint8_t* at) { return bfloat16_to_float(static_cast<uint16_t>(at[0] | at[1] << 8)); }

template <float (*weight)(const uint8_t*), uint32_t kBytes>
float dot_plain(const uint8_t* row, const void* activation, uint32_t cols) {
  const auto* x = static_cast<const float*>(activation);
  float sums[8] = {};
  for (uint32_t i = 0; i < cols; ++i) sums[i % 8] += weight(row + uint64_t{i} * kBytes) * x[i];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

// ---- rows of blocks of 32

int32_t block_q8_0(const uint8_t* quants, const int8_t* first, const int8_t* second) {
  const auto* q = reinterpret_cast<const int8_t*>(quants);
  int32_t sum = 0;
  for (uint32_t i = 0; i < 16; ++i) sum += q[i] * first[i] + q[16 + i] * second[i];
  return sum;
}

int32_t block_q4_0(const uint8_t* quants, const int8_t* first, const int8_t* second) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < 16; ++i) sum += ((quants[i] & 15) - 8) * first[i] + ((quants[i] >> 4) - 8) * second[i];
  return sum;
}

int32_t block_mxfp4(const uint8_t* quants, const int8_t* first, const int8_t* second) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < 16; ++i) sum += kMxfp4Doubled[quants[i] & 15] * first[i] + kMxfp4Doubled[quants[i] >> 4] * second[i];
  return sum;
}

float scale_mxfp4(const uint8_t* block) { return mxfp4_half_scale(*block); }

template <int32_t (*dot_block)(const uint8_t*, const int8_t*, const int8_t*), float (*scale_of)(const uint8_t*), uint32_t kScaleBytes,
          uint32_t kBytes>
float dot_small(const uint8_t* row, const void* activation, uint32_t cols) {
  const auto* x = static_cast<const SmallActivation*>(activation);
  float sum = 0;
  for (uint32_t block = 0; block < cols / 32; ++block, row += kBytes) {
    const SmallActivation& group = x[block / SmallActivation::kBlocks];
    const uint32_t at = block % SmallActivation::kBlocks;
    const int32_t product = dot_block(row + kScaleBytes, group.first[at], group.second[at]);
    sum += static_cast<float>(product) * (scale_of(row) * group.scale[at][0]);
  }
  return sum;
}

// ---- rows of blocks of 256

struct GroupScales {
  uint8_t scale[8];
  uint8_t min[8];
};

// Twelve bytes hold 8 scales and 8 mins of 6 bits: runtime/format/quant.cc says how.
GroupScales unpack_scales(const uint8_t* packed) {
  GroupScales groups;
  for (uint32_t i = 0; i < 4; ++i) {
    groups.scale[i] = packed[i] & 63;
    groups.min[i] = packed[i + 4] & 63;
    groups.scale[i + 4] = static_cast<uint8_t>((packed[i + 8] & 15) | (packed[i] >> 6) << 4);
    groups.min[i + 4] = static_cast<uint8_t>(packed[i + 8] >> 4 | (packed[i + 4] >> 6) << 4);
  }
  return groups;
}

// Q4_K, and Q5_K with its fifth bits in 32 bytes before the nibbles.
template <bool kFifthBit>
float dot_q4_q5_k(const uint8_t* row, const void* activation, uint32_t cols) {
  const auto* x = static_cast<const SuperActivation*>(activation);
  float sum = 0;
  for (uint32_t block = 0; block < cols / SuperActivation::kValues; ++block, ++x, row += kFifthBit ? 176 : 144) {
    const GroupScales groups = unpack_scales(row + 4);
    const uint8_t* high = row + 16;
    const uint8_t* nibbles = row + (kFifthBit ? 48 : 16);
    int32_t total = 0, low = 0;
    for (uint32_t g = 0; g < 8; ++g) {
      const int8_t* values = x->values[SuperActivation::kPlaceOfGroup[g]];
      int32_t product = 0;
      for (uint32_t i = 0; i < 32; ++i) {
        int q = nibbles[g / 2 * 32 + i] >> (g % 2 * 4) & 15;
        if (kFifthBit) q |= (high[i] >> g & 1) << 4;
        product += q * values[i];
      }
      total += groups.scale[g] * product;
      low += groups.min[g] * x->sums32[g];
    }
    sum += static_cast<float>(total) * (load_half(row) * x->scale);
    sum -= static_cast<float>(low) * (load_half(row + 2) * x->scale);
  }
  return sum;
}

float dot_q6_k(const uint8_t* row, const void* activation, uint32_t cols) {
  const auto* x = static_cast<const SuperActivation*>(activation);
  float sum = 0;
  for (uint32_t block = 0; block < cols / SuperActivation::kValues; ++block, ++x, row += 210) {
    int32_t total = 0;
    for (uint32_t g = 0; g < 8; ++g) {
      const int8_t* values = x->values[SuperActivation::kPlaceOfGroup[g]];
      const uint8_t* low = row + g / 4 * 64 + g % 2 * 32;
      const uint8_t* high = row + 128 + g / 4 * 32;
      int32_t products[2] = {};
      for (uint32_t i = 0; i < 32; ++i) {
        const int q = (low[i] >> (g % 4 / 2 * 4) & 15) | (high[i] >> (g % 4 * 2) & 3) << 4;
        products[i / 16] += (q - 32) * values[i];
      }
      const auto* scales = reinterpret_cast<const int8_t*>(row + 192 + 2 * g);
      total += scales[0] * products[0] + scales[1] * products[1];
    }
    sum += static_cast<float>(total) * (load_half(row + 208) * x->scale);
  }
  return sum;
}

// ---- the types that are read as whole numbers

template <BlockType kType>
float dot_groups(const uint8_t* row, const void* activation, uint32_t cols) {
  const auto* x = static_cast<const SmallActivation*>(activation);
  const ExpandGroup expand = group_expander(kType);
  const uint32_t together = block_elements(kType) / 32, size = block_bytes(kType);
  float sum = 0;
  WholeGroup w;
  for (uint32_t g = 0; g < cols / 32; ++g) {
    expand(row + uint64_t{g / together} * size, g % together, w);
    const SmallActivation& group = x[g / SmallActivation::kBlocks];
    const uint32_t at = g % SmallActivation::kBlocks;
    int32_t first = 0, second = 0, all = 0;
    for (uint32_t i = 0; i < 16; ++i) {
      first += w.quants[i] * group.first[at][i];
      second += w.quants[16 + i] * group.second[at][i];
      all += group.first[at][i] + group.second[at][i];
    }
    const float scale = group.scale[at][0];
    sum += static_cast<float>(first) * (w.scales[0] * scale) + static_cast<float>(second) * (w.scales[1] * scale);
    sum -= static_cast<float>(all) * (w.min * scale);
  }
  return sum;
}

template <BlockType kType>
float dot_blocks(const uint8_t* row, const void* activation, uint32_t cols) {
  const auto* x = static_cast<const SuperActivation*>(activation);
  const ExpandBlock expand = block_expander(kType);
  float sum = 0;
  WholeBlock w;
  for (uint32_t block = 0; block < cols / SuperActivation::kValues; ++block, ++x, row += block_bytes(kType)) {
    expand(row, w);
    int32_t total = 0, low = 0;
    for (uint32_t part = 0; part < 16; ++part) {
      const int8_t* values = x->values[SuperActivation::kPlaceOfGroup[part / 2]] + part % 2 * 16;
      int32_t product = 0;
      for (uint32_t i = 0; i < 16; ++i) product += w.quants[16 * part + i] * values[i];
      total += w.scales[part] * product;
      low += w.mins[part] * x->sums16[part];
    }
    sum += static_cast<float>(total) * (w.d * x->scale);
    sum -= static_cast<float>(low) * (w.dmin * x->scale);
  }
  return sum;
}

using DotRow = float (*)(const uint8_t* row, const void* activation, uint32_t cols);

DotRow dot_of(BlockType type) {
  switch (type) {
    case BlockType::kF32: return dot_plain<weight_f32, 4>;
    case BlockType::kF16: return dot_plain<load_half, 2>;
    case BlockType::kBF16: return dot_plain<weight_bf16, 2>;
    case BlockType::kQ8_0: return dot_small<block_q8_0, load_half, 2, 34>;
    case BlockType::kQ4_0: return dot_small<block_q4_0, load_half, 2, 18>;
    case BlockType::kMXFP4: return dot_small<block_mxfp4, scale_mxfp4, 1, 17>;
    case BlockType::kQ4_K: return dot_q4_q5_k<false>;
    case BlockType::kQ5_K: return dot_q4_q5_k<true>;
    case BlockType::kQ6_K: return dot_q6_k;
    case BlockType::kI32: break;  // no weights
    case BlockType::kQ4_1: return dot_groups<BlockType::kQ4_1>;
    case BlockType::kQ5_0: return dot_groups<BlockType::kQ5_0>;
    case BlockType::kQ5_1: return dot_groups<BlockType::kQ5_1>;
    case BlockType::kIQ4_NL: return dot_groups<BlockType::kIQ4_NL>;
    case BlockType::kNVFP4: return dot_groups<BlockType::kNVFP4>;
    case BlockType::kQ1_0: return dot_groups<BlockType::kQ1_0>;
    case BlockType::kQ2_0: return dot_groups<BlockType::kQ2_0>;
    case BlockType::kQ2_K: return dot_blocks<BlockType::kQ2_K>;
    case BlockType::kQ3_K: return dot_blocks<BlockType::kQ3_K>;
    case BlockType::kIQ1_S: return dot_blocks<BlockType::kIQ1_S>;
    case BlockType::kIQ1_M: return dot_blocks<BlockType::kIQ1_M>;
    case BlockType::kIQ2_XXS: return dot_blocks<BlockType::kIQ2_XXS>;
    case BlockType::kIQ2_XS: return dot_blocks<BlockType::kIQ2_XS>;
    case BlockType::kIQ2_S: return dot_blocks<BlockType::kIQ2_S>;
    case BlockType::kIQ3_XXS: return dot_blocks<BlockType::kIQ3_XXS>;
    case BlockType::kIQ3_S: return dot_blocks<BlockType::kIQ3_S>;
    case BlockType::kIQ4_XS: return dot_blocks<BlockType::kIQ4_XS>;
    case BlockType::kTQ1_0: return dot_blocks<BlockType::kTQ1_0>;
    case BlockType::kTQ2_0: return dot_blocks<BlockType::kTQ2_0>;
  }
  return nullptr;
}

void multiply(BlockType type, const void* rows, uint64_t row_bytes, uint32_t row_count, uint32_t cols, const void* activations,
              uint64_t act_stride, uint32_t tokens, float* out, uint64_t out_stride) {
  const DotRow dot = dot_of(type);
  for (uint32_t r = 0; r < row_count; ++r) {
    const auto* row = static_cast<const uint8_t*>(rows) + r * row_bytes;
    for (uint32_t t = 0; t < tokens; ++t) {
      out[t * out_stride + r] = dot(row, static_cast<const uint8_t*>(activations) + t * act_stride, cols);
    }
  }
}

}  // namespace

const Kernels kPortableKernels = {"portable", prepare, multiply};

}  // namespace hotset::cpu
