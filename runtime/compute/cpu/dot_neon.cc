// Kernels for NEON with SDOT, which sums four products of signed bytes: weights are made signed first.
#include <arm_neon.h>

#include <cstring>

#include "runtime/compute/cpu/kernel_sets.h"
#include "runtime/compute/cpu/tile.h"
#include "runtime/format/mxfp4.h"

namespace hotset::cpu {
namespace {

float half(const uint8_t* at) {
  __fp16 value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<float>(value);
}

int8x16_t nibbles(uint8x16_t pairs) { return vreinterpretq_s8_u8(vandq_u8(pairs, vdupq_n_u8(15))); }
int8x16_t high_nibbles(uint8x16_t pairs) { return vreinterpretq_s8_u8(vshrq_n_u8(pairs, 4)); }

// ---- F32, F16, BF16: activations stay float32

struct F32 {
  static constexpr uint32_t kBytes = 4;
  static float32x4_t load(const uint8_t* at) { return vreinterpretq_f32_u8(vld1q_u8(at)); }
};

struct F16 {
  static constexpr uint32_t kBytes = 2;
  static float32x4_t load(const uint8_t* at) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at))); }
};

struct BF16 {
  static constexpr uint32_t kBytes = 2;
  static float32x4_t load(const uint8_t* at) { return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(at)), 16)); }
};

template <class Weight>
struct PlainDot {
  static constexpr uint32_t kTokens = 4;
  static constexpr uint32_t kParts = 4;  // sums of one output

  template <uint32_t T>
  static void add(float32x4_t w, const float* x, uint64_t stride, uint32_t part, float32x4_t (&sums)[T][kParts]) {
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t][part] = vfmaq_f32(sums[t][part], w, vld1q_f32(x + t * stride));
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    const auto* x = reinterpret_cast<const float*>(activation);
    const uint64_t stride = act_stride / sizeof(float);
    float32x4_t sums[T][kParts];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t][0] = sums[t][1] = sums[t][2] = sums[t][3] = vdupq_n_f32(0);
    uint32_t i = 0;
    for (; cols - i >= 16; i += 16) {
      prefetch<16 * Weight::kBytes>(row + uint64_t{i} * Weight::kBytes);
      HOTSET_UNROLL
      for (uint32_t part = 0; part < kParts; ++part) {
        add<T>(Weight::load(row + uint64_t{i + 4 * part} * Weight::kBytes), x + i + 4 * part, stride, part, sums);
      }
    }
    for (; i < cols; i += 4) {  // an activation goes on with zeros
      const uint32_t left = cols - i < 4 ? cols - i : 4;
      uint8_t last[4 * Weight::kBytes] = {};
      std::memcpy(last, row + uint64_t{i} * Weight::kBytes, left * Weight::kBytes);
      add<T>(Weight::load(last), x + i, stride, 0, sums);
    }
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = vaddvq_f32(vaddq_f32(vaddq_f32(sums[t][0], sums[t][1]), vaddq_f32(sums[t][2], sums[t][3])));
  }
};

// ---- blocks of 32

struct SmallQuants {
  int8x16_t first;
  int8x16_t second;
};

struct Q8_0 {
  static constexpr uint32_t kBytes = 34;
  static float scale(const uint8_t* block) { return half(block); }
  static SmallQuants quants(const uint8_t* block) {
    return {vreinterpretq_s8_u8(vld1q_u8(block + 2)), vreinterpretq_s8_u8(vld1q_u8(block + 18))};
  }
};

struct Q4_0 {
  static constexpr uint32_t kBytes = 18;
  static float scale(const uint8_t* block) { return half(block); }
  static SmallQuants quants(const uint8_t* block) {
    const uint8x16_t pairs = vld1q_u8(block + 2);
    return {vsubq_s8(nibbles(pairs), vdupq_n_s8(8)), vsubq_s8(high_nibbles(pairs), vdupq_n_s8(8))};
  }
};

struct ScaleTable {
  float of[256];
};

constexpr ScaleTable make_scale_table() {
  ScaleTable table = {};
  for (uint32_t bits = 0; bits < 256; ++bits) table.of[bits] = mxfp4_half_scale(static_cast<uint8_t>(bits));
  return table;
}

constexpr ScaleTable kScaleTable = make_scale_table();

struct MXFP4 {
  static constexpr uint32_t kBytes = 17;
  static float scale(const uint8_t* block) { return kScaleTable.of[block[0]]; }
  static SmallQuants quants(const uint8_t* block) {
    const int8x16_t values = vld1q_s8(kMxfp4Doubled);
    const uint8x16_t pairs = vld1q_u8(block + 1);
    return {vqtbl1q_s8(values, vandq_u8(pairs, vdupq_n_u8(15))), vqtbl1q_s8(values, vshrq_n_u8(pairs, 4))};
  }
};

template <class Weight>
struct SmallDot {
  static constexpr uint32_t kTokens = 4;
  template <uint32_t T>
  static void block(const uint8_t* block, uint32_t at, const uint8_t* activation, uint64_t act_stride, float32x4_t (&sums)[T]) {
    const SmallQuants w = Weight::quants(block);
    const float scale = Weight::scale(block);
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) {
      const auto* x = reinterpret_cast<const SmallActivation*>(activation + t * act_stride);
      const int32x4_t products = vdotq_s32(vdotq_s32(vdupq_n_s32(0), w.first, vld1q_s8(x->first[at])), w.second, vld1q_s8(x->second[at]));
      sums[t] = vfmaq_n_f32(sums[t], vcvtq_f32_s32(products), scale * x->scale[at][0]);
    }
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    // Two sums in turn: each waits for its own last block only.
    float32x4_t even[T], odd[T];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) even[t] = odd[t] = vdupq_n_f32(0);
    uint32_t left = cols / 32;
    for (; left >= SmallActivation::kBlocks; left -= SmallActivation::kBlocks) {
      prefetch<SmallActivation::kBlocks * Weight::kBytes>(row);
      block<T>(row, 0, activation, act_stride, even);
      block<T>(row + Weight::kBytes, 1, activation, act_stride, odd);
      block<T>(row + 2 * Weight::kBytes, 2, activation, act_stride, even);
      block<T>(row + 3 * Weight::kBytes, 3, activation, act_stride, odd);
      row += SmallActivation::kBlocks * Weight::kBytes;
      activation += sizeof(SmallActivation);
    }
    for (uint32_t i = 0; i < left; ++i) block<T>(row + i * Weight::kBytes, i, activation, act_stride, even);
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = vaddvq_f32(vaddq_f32(even[t], odd[t]));
  }
};

// ---- blocks of 256

// Four groups as signed bytes, in the order of SuperActivation::values.
struct FourGroups {
  int8x16_t quants[4][2];
};

int32x4_t group_products(const int8x16_t (&quants)[2], const int8_t* values) {
  return vdotq_s32(vdotq_s32(vdupq_n_s32(0), quants[0], vld1q_s8(values)), quants[1], vld1q_s8(values + 16));
}

struct GroupScales {
  uint8_t scale[8];
  uint8_t min[8];
};

// Of a Q4_K or Q5_K block: runtime/format/quant.cc says how they are packed.
GroupScales unpack_scales(const uint8_t* packed) {
  uint32_t words[3];
  std::memcpy(words, packed, sizeof words);
  const uint32_t out[4] = {words[0] & 0x3f3f3f3fu, (words[2] & 0x0f0f0f0fu) | (words[0] >> 2 & 0x30303030u),  //
                           words[1] & 0x3f3f3f3fu, (words[2] >> 4 & 0x0f0f0f0fu) | (words[1] >> 2 & 0x30303030u)};
  GroupScales groups;
  std::memcpy(&groups, out, sizeof out);
  return groups;
}

constexpr uint32_t kGroups[4] = {0, 2, 1, 3};  // of a half, as SuperActivation::values holds them

// Q4_K, and Q5_K with its fifth bits in 32 bytes before the nibbles.
template <bool kFifthBit>
struct GroupedDot {
  static constexpr uint32_t kTokens = 4;
  static constexpr uint32_t kBytes = kFifthBit ? 176 : 144;

  static int8x16_t with_fifth(int8x16_t quants, const uint8_t* bits, uint32_t group) {
    const uint8x16_t turned = vshlq_u8(vld1q_u8(bits), vdupq_n_s8(static_cast<int8_t>(4 - static_cast<int>(group))));
    return vorrq_s8(quants, vreinterpretq_s8_u8(vandq_u8(turned, vdupq_n_u8(16))));
  }

  static FourGroups unpack(const uint8_t* block, uint32_t half_index) {
    const uint8_t* bytes = block + kBytes - 128 + 64 * half_index;
    FourGroups w;
    HOTSET_UNROLL
    for (uint32_t side = 0; side < 2; ++side) {
      const uint8x16_t a = vld1q_u8(bytes + 16 * side), b = vld1q_u8(bytes + 32 + 16 * side);
      w.quants[0][side] = nibbles(a), w.quants[1][side] = nibbles(b);
      w.quants[2][side] = high_nibbles(a), w.quants[3][side] = high_nibbles(b);
      if (!kFifthBit) continue;
      HOTSET_UNROLL
      for (uint32_t i = 0; i < 4; ++i) {
        w.quants[i][side] = with_fifth(w.quants[i][side], block + 16 + 16 * side, 4 * half_index + kGroups[i]);
      }
    }
    return w;
  }

  static int32_t low_sum(const uint8_t* mins, const int16_t* sums) {
    const int16x8_t wide = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(mins)));
    const int16x8_t x = vld1q_s16(sums);
    return vaddvq_s32(vmlal_high_s16(vmull_s16(vget_low_s16(wide), vget_low_s16(x)), wide, x));
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    float32x4_t sums[T];
    float lows[T];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = vdupq_n_f32(0), lows[t] = 0;
    for (uint32_t n = cols / SuperActivation::kValues; n > 0; --n, row += kBytes, activation += sizeof(SuperActivation)) {
      prefetch<kBytes>(row);
      const GroupScales groups = unpack_scales(row + 4);
      const float d = half(row), dmin = half(row + 2);
      int32x4_t products[T];
      HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) products[t] = vdupq_n_s32(0);
      for (uint32_t half_index = 0; half_index < 2; ++half_index) {
        const FourGroups w = unpack(row, half_index);
        HOTSET_UNROLL
        for (uint32_t t = 0; t < T; ++t) {
          const auto* x = reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
          HOTSET_UNROLL
          for (uint32_t i = 0; i < 4; ++i) {
            const int32x4_t group = group_products(w.quants[i], x->values[4 * half_index + i]);
            products[t] = vmlaq_n_s32(products[t], group, groups.scale[4 * half_index + kGroups[i]]);
          }
        }
      }
      HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) {
        const auto* x = reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
        sums[t] = vfmaq_n_f32(sums[t], vcvtq_f32_s32(products[t]), d * x->scale);
        lows[t] += static_cast<float>(low_sum(groups.min, x->sums32)) * (dmin * x->scale);
      }
    }
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = vaddvq_f32(sums[t]) - lows[t];
  }
};

struct Q6KDot {
  static constexpr uint32_t kTokens = 4;
  static constexpr uint32_t kBytes = 210;

  static int8x16_t join(int8x16_t low, uint8x16_t pair) {
    const int8x16_t joined = vorrq_s8(low, vreinterpretq_s8_u8(vandq_u8(pair, vdupq_n_u8(0x30))));
    return vsubq_s8(joined, vdupq_n_s8(32));
  }

  static FourGroups unpack(const uint8_t* block, uint32_t half_index) {
    FourGroups w;
    HOTSET_UNROLL
    for (uint32_t side = 0; side < 2; ++side) {
      const uint8_t* low = block + 64 * half_index + 16 * side;
      const uint8x16_t a = vld1q_u8(low), b = vld1q_u8(low + 32), pairs = vld1q_u8(block + 128 + 32 * half_index + 16 * side);
      w.quants[0][side] = join(nibbles(a), vshlq_n_u8(pairs, 4));
      w.quants[1][side] = join(high_nibbles(a), pairs);
      w.quants[2][side] = join(nibbles(b), vshlq_n_u8(pairs, 2));
      w.quants[3][side] = join(high_nibbles(b), vshrq_n_u8(pairs, 2));
    }
    return w;
  }

  template <uint32_t T>
  static void rows(const uint8_t* row, uint32_t cols, const uint8_t* activation, uint64_t act_stride, float* out, uint64_t out_stride) {
    float32x4_t sums[T];
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) sums[t] = vdupq_n_f32(0);
    for (uint32_t n = cols / SuperActivation::kValues; n > 0; --n, row += kBytes, activation += sizeof(SuperActivation)) {
      prefetch<kBytes>(row);
      const auto* scales = reinterpret_cast<const int8_t*>(row + 192);
      const float d = half(row + 208);
      int32x4_t products[T];
      HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) products[t] = vdupq_n_s32(0);
      for (uint32_t half_index = 0; half_index < 2; ++half_index) {
        const FourGroups w = unpack(row, half_index);
        HOTSET_UNROLL
        for (uint32_t t = 0; t < T; ++t) {
          const auto* x = reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
          HOTSET_UNROLL
          for (uint32_t i = 0; i < 4; ++i) {
            const int8_t* values = x->values[4 * half_index + i];
            const int8_t* pair = scales + 8 * half_index + 2 * kGroups[i];
            products[t] = vmlaq_n_s32(products[t], vdotq_s32(vdupq_n_s32(0), w.quants[i][0], vld1q_s8(values)), pair[0]);
            products[t] = vmlaq_n_s32(products[t], vdotq_s32(vdupq_n_s32(0), w.quants[i][1], vld1q_s8(values + 16)), pair[1]);
          }
        }
      }
      HOTSET_UNROLL
      for (uint32_t t = 0; t < T; ++t) {
        const auto* x = reinterpret_cast<const SuperActivation*>(activation + t * act_stride);
        sums[t] = vfmaq_n_f32(sums[t], vcvtq_f32_s32(products[t]), d * x->scale);
      }
    }
    HOTSET_UNROLL
    for (uint32_t t = 0; t < T; ++t) out[t * out_stride] = vaddvq_f32(sums[t]);
  }
};

void multiply(BlockType type, const void* rows, uint64_t row_bytes, uint32_t row_count, uint32_t cols, const void* activations,
              uint64_t act_stride, uint32_t tokens, float* out, uint64_t out_stride) {
  const Product product = {static_cast<const uint8_t*>(rows), row_bytes, row_count, cols, static_cast<const uint8_t*>(activations),
                           act_stride, tokens, out, out_stride};
  switch (type) {
    case BlockType::kF32: return multiply_tiled<PlainDot<F32>>(product);
    case BlockType::kF16: return multiply_tiled<PlainDot<F16>>(product);
    case BlockType::kBF16: return multiply_tiled<PlainDot<BF16>>(product);
    case BlockType::kQ8_0: return multiply_tiled<SmallDot<Q8_0>>(product);
    case BlockType::kQ4_0: return multiply_tiled<SmallDot<Q4_0>>(product);
    case BlockType::kMXFP4: return multiply_tiled<SmallDot<MXFP4>>(product);
    case BlockType::kQ4_K: return multiply_tiled<GroupedDot<false>>(product);
    case BlockType::kQ5_K: return multiply_tiled<GroupedDot<true>>(product);
    case BlockType::kQ6_K: return multiply_tiled<Q6KDot>(product);
    case BlockType::kI32: return;  // no weights
    default: return kPortableKernels.multiply(type, rows, row_bytes, row_count, cols, activations, act_stride, tokens, out, out_stride);
  }
}

// The portable prepare is compiled to NEON as it stands.
void prepare(BlockType weight_type, const float* x, uint32_t cols, void* out) { kPortableKernels.prepare(weight_type, x, cols, out); }

}  // namespace

const Kernels kNeonKernels = {"neon", prepare, multiply};

}  // namespace hotset::cpu
