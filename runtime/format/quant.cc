#include "runtime/format/quant.h"

#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include "platform/bytes.h"
#include "platform/check.h"
#include "runtime/format/half.h"
#include "runtime/format/mxfp4.h"
#include "runtime/format/whole_blocks.h"

namespace hotset {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks are read as they lie in the file");

// ggml's numbers in order; nullptr where a number was given out and taken back.
constexpr std::array<const char*, 43> kGgmlNames = {
    "F32",     "F16",  "Q4_0",   "Q4_1",  nullptr,  nullptr, "Q5_0",   "Q5_1",     "Q8_0",     "Q8_1",     "Q2_K",
    "Q3_K",    "Q4_K", "Q5_K",   "Q6_K",  "Q8_K",   "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",    "IQ4_NL",   "IQ3_S",
    "IQ2_S",   "IQ4_XS", "I8",   "I16",   "I32",    "I64",   "F64",    "IQ1_M",    "BF16",     "Q4_0_4_4", "Q4_0_4_8",
    "Q4_0_8_8", "TQ1_0", "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4", "NVFP4", "Q1_0", "Q2_0"};
static_assert(std::string_view(kGgmlNames[30]) == "BF16" && std::string_view(kGgmlNames[39]) == "MXFP4");

constexpr uint32_t kSuperBlock = 256;  // weights of a K-quant block
constexpr uint32_t kSmallBlock = 32;   // weights of a Q8_0 block and its like

struct BlockShape {
  uint32_t elements;
  uint32_t bytes;
};

constexpr BlockShape shape_of(BlockType type) {
  switch (type) {
    case BlockType::kF32: return {1, 4};
    case BlockType::kF16: return {1, 2};
    case BlockType::kBF16: return {1, 2};
    case BlockType::kI32: return {1, 4};
    case BlockType::kQ8_0: return {kSmallBlock, 2 + 32};
    case BlockType::kQ4_0: return {kSmallBlock, 2 + 16};
    case BlockType::kMXFP4: return {kSmallBlock, 1 + 16};
    case BlockType::kQ4_K: return {kSuperBlock, 2 + 2 + 12 + 128};
    case BlockType::kQ5_K: return {kSuperBlock, 2 + 2 + 12 + 32 + 128};
    case BlockType::kQ6_K: return {kSuperBlock, 128 + 64 + 16 + 2};
    case BlockType::kQ4_1: return {kSmallBlock, 2 + 2 + 16};
    case BlockType::kQ5_0: return {kSmallBlock, 2 + 4 + 16};
    case BlockType::kQ5_1: return {kSmallBlock, 2 + 2 + 4 + 16};
    case BlockType::kIQ4_NL: return {kSmallBlock, 2 + 16};
    case BlockType::kNVFP4: return {2 * kSmallBlock, 4 + 32};
    case BlockType::kQ1_0: return {4 * kSmallBlock, 2 + 16};
    case BlockType::kQ2_0: return {2 * kSmallBlock, 2 + 16};
    case BlockType::kQ2_K: return {kSuperBlock, 16 + 64 + 2 + 2};
    case BlockType::kQ3_K: return {kSuperBlock, 32 + 64 + 12 + 2};
    case BlockType::kIQ1_S: return {kSuperBlock, 2 + 32 + 16};
    case BlockType::kIQ1_M: return {kSuperBlock, 32 + 16 + 8};
    case BlockType::kIQ2_XXS: return {kSuperBlock, 2 + 64};
    case BlockType::kIQ2_XS: return {kSuperBlock, 2 + 64 + 8};
    case BlockType::kIQ2_S: return {kSuperBlock, 2 + 64 + 8 + 8};
    case BlockType::kIQ3_XXS: return {kSuperBlock, 2 + 64 + 32};
    case BlockType::kIQ3_S: return {kSuperBlock, 2 + 64 + 8 + 32 + 4};
    case BlockType::kIQ4_XS: return {kSuperBlock, 2 + 2 + 4 + 128};
    case BlockType::kTQ1_0: return {kSuperBlock, 48 + 4 + 2};
    case BlockType::kTQ2_0: return {kSuperBlock, 64 + 2};
  }
  return {0, 0};
}

uint16_t load_u16(const uint8_t* bytes) { return static_cast<uint16_t>(bytes[0] | bytes[1] << 8); }

float load_half(const uint8_t* bytes) { return half_to_float(load_u16(bytes)); }

void dequantize_f32(const uint8_t* block, float* out) { std::memcpy(out, block, sizeof(float)); }

void dequantize_i32(const uint8_t* block, float* out) {
  int32_t value = 0;
  std::memcpy(&value, block, sizeof(value));
  *out = static_cast<float>(value);
}
void dequantize_f16(const uint8_t* block, float* out) { *out = load_half(block); }
void dequantize_bf16(const uint8_t* block, float* out) { *out = bfloat16_to_float(load_u16(block)); }

void dequantize_q8_0(const uint8_t* block, float* out) {
  const float d = load_half(block);
  for (uint32_t i = 0; i < kSmallBlock; ++i) out[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

void dequantize_q4_0(const uint8_t* block, float* out) {
  const float d = load_half(block);
  for (uint32_t i = 0; i < kSmallBlock / 2; ++i) {
    const int pair = block[2 + i];
    out[i] = d * static_cast<float>((pair & 15) - 8);
    out[i + kSmallBlock / 2] = d * static_cast<float>((pair >> 4) - 8);
  }
}

void dequantize_mxfp4(const uint8_t* block, float* out) {
  const float half_scale = mxfp4_half_scale(block[0]);
  for (uint32_t i = 0; i < kSmallBlock / 2; ++i) {
    out[i] = half_scale * static_cast<float>(kMxfp4Doubled[block[1 + i] & 15]);
    out[i + kSmallBlock / 2] = half_scale * static_cast<float>(kMxfp4Doubled[block[1 + i] >> 4]);
  }
}

// Scale and min of one group of 32 weights, already multiplied by the block's d and dmin.
struct Group {
  float scale;
  float min;
};

// The eight groups of a Q4_K or Q5_K block. Twelve bytes hold 8 scales and 8 mins of 6 bits: groups 0..3 in the low
// 6 bits of bytes 0..3 (scales) and 4..7 (mins); groups 4..7 have their low 4 bits in bytes 8..11 (scale low nibble,
// min high nibble) and their high 2 bits on top of bytes 0..7.
std::array<Group, 8> unpack_groups(const uint8_t* block) {
  const float d = load_half(block);
  const float dmin = load_half(block + 2);
  const uint8_t* packed = block + 4;
  std::array<Group, 8> groups;
  for (size_t i = 0; i < 4; ++i) {
    groups[i] = {d * static_cast<float>(packed[i] & 63), dmin * static_cast<float>(packed[i + 4] & 63)};
    const int scale = (packed[i + 8] & 15) | (packed[i] >> 6) << 4;
    const int min = packed[i + 8] >> 4 | (packed[i + 4] >> 6) << 4;
    groups[i + 4] = {d * static_cast<float>(scale), dmin * static_cast<float>(min)};
  }
  return groups;
}

// 32 bytes of nibbles serve two groups: low nibbles the even group, high nibbles the odd one.
void dequantize_q4_k(const uint8_t* block, float* out) {
  const std::array<Group, 8> groups = unpack_groups(block);
  const uint8_t* nibbles = block + 16;
  for (uint32_t i = 0; i < kSuperBlock; ++i) {
    const uint32_t group = i / 32;
    const int q = nibbles[group / 2 * 32 + i % 32] >> (group % 2 * 4) & 15;
    out[i] = groups[group].scale * static_cast<float>(q) - groups[group].min;
  }
}

// Bit g of high_bits[j] is the fifth bit of weight j in group g.
void dequantize_q5_k(const uint8_t* block, float* out) {
  const std::array<Group, 8> groups = unpack_groups(block);
  const uint8_t* high_bits = block + 16;
  const uint8_t* nibbles = block + 48;
  for (uint32_t i = 0; i < kSuperBlock; ++i) {
    const uint32_t group = i / 32;
    const int low = nibbles[group / 2 * 32 + i % 32] >> (group % 2 * 4) & 15;
    const int q = low | (high_bits[i % 32] >> group & 1) << 4;
    out[i] = groups[group].scale * static_cast<float>(q) - groups[group].min;
  }
}

// Each half of 128 weights has 64 bytes of nibbles and 32 bytes of bit pairs; within it weights 0..31 and 32..63 are the
// low nibbles, 64..127 the high ones, and bit pair k of a byte belongs to weights 32k..32k+31.
void dequantize_q6_k(const uint8_t* block, float* out) {
  const uint8_t* nibbles = block;
  const uint8_t* pairs = block + 128;
  const uint8_t* scales = block + 192;  // int8, one for 16 weights
  const float d = load_half(block + 208);
  for (uint32_t i = 0; i < kSuperBlock; ++i) {
    const uint32_t half = i / 128;
    const uint32_t quarter = i % 128 / 32;
    const int low = nibbles[half * 64 + quarter % 2 * 32 + i % 32] >> (quarter / 2 * 4) & 15;
    const int high = pairs[half * 32 + i % 32] >> (quarter * 2) & 3;
    const float scale = d * static_cast<float>(static_cast<int8_t>(scales[i / 16]));
    out[i] = scale * static_cast<float>((low | high << 4) - 32);
  }
}

// Types of whole numbers, block after block.
void dequantize_whole(BlockType type, const uint8_t* blocks, std::span<float> out) {
  const uint32_t elements = shape_of(type).elements, bytes = shape_of(type).bytes;
  if (const ExpandBlock expand = block_expander(type)) {
    WholeBlock block;
    for (size_t i = 0; i < out.size(); ++i) {
      if (i % kSuperBlock == 0) expand(blocks + i / kSuperBlock * bytes, block);
      const uint32_t at = i % kSuperBlock, part = at / 16;
      const float product = block.d * static_cast<float>(block.scales[part]) * static_cast<float>(block.quants[at]);
      out[i] = product - block.dmin * static_cast<float>(block.mins[part]);
    }
    return;
  }
  const ExpandGroup expand = group_expander(type);
  HOTSET_CHECK(expand != nullptr);
  WholeGroup group;
  for (size_t i = 0; i < out.size(); ++i) {
    if (i % kSmallBlock == 0) expand(blocks + i / elements * bytes, static_cast<uint32_t>(i % elements / kSmallBlock), group);
    const uint32_t at = i % kSmallBlock;
    out[i] = group.scales[at / 16] * static_cast<float>(group.quants[at]) - group.min;
  }
}

using DequantizeBlock = void (*)(const uint8_t* block, float* out);

DequantizeBlock dequantizer_of(BlockType type) {
  switch (type) {
    case BlockType::kF32: return dequantize_f32;
    case BlockType::kI32: return dequantize_i32;
    case BlockType::kF16: return dequantize_f16;
    case BlockType::kBF16: return dequantize_bf16;
    case BlockType::kQ8_0: return dequantize_q8_0;
    case BlockType::kQ4_0: return dequantize_q4_0;
    case BlockType::kMXFP4: return dequantize_mxfp4;
    case BlockType::kQ4_K: return dequantize_q4_k;
    case BlockType::kQ5_K: return dequantize_q5_k;
    case BlockType::kQ6_K: return dequantize_q6_k;
    default: return nullptr;
  }
}

Status check_sizes(BlockType type, uint64_t elements, uint64_t bytes) {
  HOTSET_ASSIGN(const uint64_t expected_bytes, row_bytes(type, elements));
  if (bytes == expected_bytes) return ok_status();
  return error(Code::kInvalidArgument, "%llu values of type %s take %llu bytes, not %llu",
               static_cast<unsigned long long>(elements), block_type_name(type),
               static_cast<unsigned long long>(expected_bytes), static_cast<unsigned long long>(bytes));
}

}  // namespace

const char* ggml_type_name(uint32_t ggml_number) {
  return ggml_number < kGgmlNames.size() ? kGgmlNames[ggml_number] : nullptr;
}

Result<BlockType> block_type_from_number(uint32_t ggml_number) {
  const auto type = static_cast<BlockType>(ggml_number);
  if (shape_of(type).elements != 0) return type;
  if (const char* name = ggml_type_name(ggml_number)) {
    return error(Code::kUnsupported, "type %s is not supported yet", name);
  }
  return error(Code::kUnsupported, "unknown quantisation type %u", ggml_number);
}

const char* block_type_name(BlockType type) { return ggml_type_name(static_cast<uint32_t>(type)); }
uint32_t block_elements(BlockType type) { return shape_of(type).elements; }
uint32_t block_bytes(BlockType type) { return shape_of(type).bytes; }

Result<uint64_t> row_bytes(BlockType type, uint64_t elements) {
  const BlockShape shape = shape_of(type);
  HOTSET_CHECK(shape.elements != 0);
  if (elements % shape.elements != 0) {
    return error(Code::kInvalidArgument, "a row of %llu values is not a whole number of %s blocks of %u",
                 static_cast<unsigned long long>(elements), block_type_name(type), shape.elements);
  }
  const auto bytes = checked_multiply(elements / shape.elements, shape.bytes);
  if (!bytes) {
    return error(Code::kInvalidArgument, "the size of a row of %llu values does not fit in 64 bits",
                 static_cast<unsigned long long>(elements));
  }
  return *bytes;
}

Status dequantize(BlockType type, std::span<const std::byte> blocks, std::span<float> out) {
  HOTSET_RETURN_IF_ERROR(check_sizes(type, out.size(), blocks.size()));
  const BlockShape shape = shape_of(type);
  const DequantizeBlock dequantize_block = dequantizer_of(type);
  const auto* block = reinterpret_cast<const uint8_t*>(blocks.data());
  if (!dequantize_block) {
    dequantize_whole(type, block, out);
    return ok_status();
  }
  for (size_t i = 0; i < out.size(); i += shape.elements, block += shape.bytes) dequantize_block(block, out.data() + i);
  return ok_status();
}

}  // namespace hotset
