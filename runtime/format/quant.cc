#include "runtime/format/quant.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string_view>

#include "platform/bytes.h"
#include "platform/check.h"
#include "runtime/format/half.h"
#include "runtime/format/mxfp4.h"

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
constexpr uint32_t kSmallBlock = 32;   // weights of a Q8_0, Q4_0 or MXFP4 block

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
  }
  return {0, 0};
}

uint16_t load_u16(const uint8_t* bytes) { return static_cast<uint16_t>(bytes[0] | bytes[1] << 8); }

void store_u16(uint16_t value, uint8_t* bytes) {
  bytes[0] = static_cast<uint8_t>(value & 0xff);
  bytes[1] = static_cast<uint8_t>(value >> 8);
}

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

void quantize_f32(const float* in, uint8_t* block) { std::memcpy(block, in, sizeof(float)); }
void quantize_f16(const float* in, uint8_t* block) { store_u16(float_to_half(*in), block); }
void quantize_bf16(const float* in, uint8_t* block) { store_u16(float_to_bfloat16(*in), block); }

// An integer from a float that may be NaN or out of range, where a plain cast would be undefined.
int clamp_to_int(float value, int low, int high) {
  if (!(value > static_cast<float>(low))) return low;
  return value < static_cast<float>(high) ? static_cast<int>(value) : high;
}

void quantize_q8_0(const float* in, uint8_t* block) {
  float largest = 0;
  for (uint32_t i = 0; i < kSmallBlock; ++i) largest = std::max(largest, std::fabs(in[i]));
  const float d = largest / 127.0f;
  const float inverse = d != 0 ? 1.0f / d : 0.0f;
  store_u16(float_to_half(d), block);
  for (uint32_t i = 0; i < kSmallBlock; ++i) {
    block[2 + i] = static_cast<uint8_t>(clamp_to_int(std::round(in[i] * inverse), -128, 127));
  }
}

// The value of largest magnitude, sign included, becomes exactly -8.
void quantize_q4_0(const float* in, uint8_t* block) {
  float extreme = 0;
  for (uint32_t i = 0; i < kSmallBlock; ++i) {
    if (std::fabs(in[i]) > std::fabs(extreme)) extreme = in[i];
  }
  const float d = extreme / -8.0f;
  const float inverse = d != 0 ? 1.0f / d : 0.0f;
  store_u16(float_to_half(d), block);
  for (uint32_t i = 0; i < kSmallBlock / 2; ++i) {
    const int low = clamp_to_int(in[i] * inverse + 8.5f, 0, 15);
    const int high = clamp_to_int(in[i + kSmallBlock / 2] * inverse + 8.5f, 0, 15);
    block[2 + i] = static_cast<uint8_t>(low | high << 4);
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
  }
  return nullptr;
}

using QuantizeBlock = void (*)(const float* in, uint8_t* block);

QuantizeBlock quantizer_of(BlockType type) {
  switch (type) {
    case BlockType::kF32: return quantize_f32;
    case BlockType::kF16: return quantize_f16;
    case BlockType::kBF16: return quantize_bf16;
    case BlockType::kQ8_0: return quantize_q8_0;
    case BlockType::kQ4_0: return quantize_q4_0;
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
  for (size_t i = 0; i < out.size(); i += shape.elements, block += shape.bytes) dequantize_block(block, out.data() + i);
  return ok_status();
}

Status quantize(BlockType type, std::span<const float> values, std::span<std::byte> blocks) {
  const QuantizeBlock quantize_block = quantizer_of(type);
  if (!quantize_block) {
    return error(Code::kUnsupported, "there is no quantiser for type %s", block_type_name(type));
  }
  HOTSET_RETURN_IF_ERROR(check_sizes(type, values.size(), blocks.size()));
  const BlockShape shape = shape_of(type);
  auto* block = reinterpret_cast<uint8_t*>(blocks.data());
  for (size_t i = 0; i < values.size(); i += shape.elements, block += shape.bytes) {
    quantize_block(values.data() + i, block);
  }
  return ok_status();
}

}  // namespace hotset
