#include "runtime/format/quantize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/format/half.h"
#include "runtime/format/mxfp4.h"

namespace hotset {
namespace {

constexpr uint32_t kSuperBlock = 256;
constexpr uint32_t kSmallBlock = 32;

void store_u16(uint16_t value, uint8_t* bytes) {
  bytes[0] = static_cast<uint8_t>(value & 0xff);
  bytes[1] = static_cast<uint8_t>(value >> 8);
}

// Stores `value` as a half; what is read back.
float store_half(float value, uint8_t* bytes) {
  const uint16_t half = float_to_half(value);
  store_u16(half, bytes);
  return half_to_float(half);
}

// An integer from a float that may be NaN or out of range, where a plain cast would be undefined.
int clamp_to_int(float value, int low, int high) {
  if (!(value > static_cast<float>(low))) return low;
  return value < static_cast<float>(high) ? static_cast<int>(value) : high;
}

int round_to_int(float value, int low, int high) { return clamp_to_int(std::nearbyint(value), low, high); }

float inverse_of(float scale) { return scale != 0 ? 1.0f / scale : 0.0f; }

// The value of largest magnitude, sign included. NaNs do not count.
float extreme_of(const float* in, uint32_t count) {
  float extreme = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (std::fabs(in[i]) > std::fabs(extreme)) extreme = in[i];
  }
  return extreme;
}

// ---- plain numbers, Q8_0, Q4_0

void quantize_f32(const float* in, uint8_t* block) { std::memcpy(block, in, sizeof(float)); }
void quantize_f16(const float* in, uint8_t* block) { store_u16(float_to_half(*in), block); }
void quantize_bf16(const float* in, uint8_t* block) { store_u16(float_to_bfloat16(*in), block); }

void quantize_q8_0(const float* in, uint8_t* block) {
  float largest = 0;
  for (uint32_t i = 0; i < kSmallBlock; ++i) largest = std::max(largest, std::fabs(in[i]));
  const float d = largest / 127.0f;
  const float inverse = inverse_of(d);
  store_half(d, block);
  for (uint32_t i = 0; i < kSmallBlock; ++i) {
    block[2 + i] = static_cast<uint8_t>(clamp_to_int(std::round(in[i] * inverse), -128, 127));
  }
}

// The extreme value becomes exactly -8.
void quantize_q4_0(const float* in, uint8_t* block) {
  const float d = extreme_of(in, kSmallBlock) / -8.0f;
  const float inverse = inverse_of(d);
  store_half(d, block);
  for (uint32_t i = 0; i < kSmallBlock / 2; ++i) {
    const int low = clamp_to_int(in[i] * inverse + 8.5f, 0, 15);
    const int high = clamp_to_int(in[i + kSmallBlock / 2] * inverse + 8.5f, 0, 15);
    block[2 + i] = static_cast<uint8_t>(low | high << 4);
  }
}

// ---- MXFP4

struct Nibbles {
  std::array<uint8_t, kSmallBlock> of;
  float error = std::numeric_limits<float>::infinity();  // sum of squares
};

// The nearest E2M1 number to `value`, a doubled one. Magnitudes 0 1 2 3 4 6 8 12: between two the middle decides.
uint8_t nearest_e2m1(float value) {
  constexpr float kMiddles[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10};
  uint8_t magnitude = 0;
  for (const float middle : kMiddles) magnitude = static_cast<uint8_t>(magnitude + (std::fabs(value) > middle));
  return static_cast<uint8_t>(magnitude | (std::signbit(value) && magnitude != 0 ? 8 : 0));
}

Nibbles round_to_e2m1(const float* in, uint8_t power) {
  const float half_scale = mxfp4_half_scale(power);
  Nibbles rounded = {};
  rounded.error = 0;
  for (uint32_t i = 0; i < kSmallBlock; ++i) {
    rounded.of[i] = nearest_e2m1(in[i] / half_scale);
    const float difference = half_scale * static_cast<float>(kMxfp4Doubled[rounded.of[i]]) - in[i];
    rounded.error += difference * difference;
  }
  return rounded;
}

// The largest number of the format is 6 = 1.5 * 2^2, so the extreme's exponent less 2 is near the best power.
void quantize_mxfp4(const float* in, uint8_t* block) {
  const float extreme = extreme_of(in, kSmallBlock);
  const int middle = extreme != 0 && std::isfinite(extreme) ? std::ilogb(extreme) - 2 + 127 : extreme != 0 ? 254 : 0;
  Nibbles best = {};
  for (int power = middle - 1; power <= middle + 1; ++power) {
    const auto bits = static_cast<uint8_t>(std::clamp(power, 0, 254));
    const Nibbles rounded = round_to_e2m1(in, bits);
    // The first is taken even where every error is infinite or NaN.
    if (power > middle - 1 && !(rounded.error < best.error)) continue;
    best = rounded;
    block[0] = bits;
  }
  for (uint32_t i = 0; i < kSmallBlock / 2; ++i) block[1 + i] = static_cast<uint8_t>(best.of[i] | best.of[i + kSmallBlock / 2] << 4);
}

// ---- Q4_K

constexpr uint32_t kGroup = 32;  // weights that share a scale and a min
constexpr int kTries = 16;       // steps that scales are searched in, to both sides

// x is about scale * q - min, q in 0..15; neither is negative.
struct Line {
  float scale = 0;
  float min = 0;
};

int quant4(float value, const Line& line, float inverse) { return round_to_int((value + line.min) * inverse, 0, 15); }

float error_of(const float* in, const Line& line) {
  const float inverse = inverse_of(line.scale);
  float error = 0;
  for (uint32_t i = 0; i < kGroup; ++i) {
    const float difference = line.scale * static_cast<float>(quant4(in[i], line, inverse)) - line.min - in[i];
    error += difference * difference;
  }
  return error;
}

// The line of least squares through the quants that `start` rounds to.
Line refit(const float* in, const Line& start) {
  const float inverse = inverse_of(start.scale);
  float sum_q = 0, sum_qq = 0, sum_x = 0, sum_qx = 0;
  for (uint32_t i = 0; i < kGroup; ++i) {
    const auto q = static_cast<float>(quant4(in[i], start, inverse));
    sum_q += q;
    sum_qq += q * q;
    sum_x += in[i];
    sum_qx += q * in[i];
  }
  const float determinant = static_cast<float>(kGroup) * sum_qq - sum_q * sum_q;
  if (!(determinant > 0)) return start;
  const Line line = {(static_cast<float>(kGroup) * sum_qx - sum_q * sum_x) / determinant, (sum_q * sum_qx - sum_qq * sum_x) / determinant};
  if (line.min < 0) return {std::max(sum_qx / sum_qq, 0.0f), 0};
  return line.scale < 0 ? start : line;
}

Line fit_line(const float* in) {
  float low = 0, high = -std::numeric_limits<float>::max();
  for (uint32_t i = 0; i < kGroup; ++i) low = std::min(low, in[i]), high = std::max(high, in[i]);
  if (!(high > low)) return {0, -low};
  Line best;
  float least = std::numeric_limits<float>::infinity();
  for (int step = -kTries; step <= kTries; ++step) {
    const Line start = {(high - low) / (15.0f + 0.15f * static_cast<float>(step)), -low};
    for (const Line& line : {start, refit(in, start)}) {
      const float error = error_of(in, line);
      if (error < least) least = error, best = line;
    }
  }
  return best;
}

// A line in the steps of a block: 6 bits each.
struct SmallLine {
  int scale = 0;
  int min = 0;
};

SmallLine round_line(const float* in, const Line& line, float d, float dmin) {
  const SmallLine middle = {round_to_int(line.scale * inverse_of(d), 0, 63), round_to_int(line.min * inverse_of(dmin), 0, 63)};
  SmallLine best = middle;
  float least = std::numeric_limits<float>::infinity();
  for (int scale = std::max(middle.scale - 1, 0); scale <= std::min(middle.scale + 1, 63); ++scale) {
    for (int min = std::max(middle.min - 1, 0); min <= std::min(middle.min + 1, 63); ++min) {
      const float error = error_of(in, {d * static_cast<float>(scale), dmin * static_cast<float>(min)});
      if (error < least) least = error, best = {scale, min};
    }
  }
  return best;
}

// Twelve bytes hold eight lines: runtime/format/quant.cc says how.
void pack_lines(const SmallLine (&lines)[8], uint8_t* packed) {
  for (size_t i = 0; i < 4; ++i) {
    const SmallLine &low = lines[i], &high = lines[i + 4];
    packed[i] = static_cast<uint8_t>(low.scale | high.scale >> 4 << 6);
    packed[i + 4] = static_cast<uint8_t>(low.min | high.min >> 4 << 6);
    packed[i + 8] = static_cast<uint8_t>((high.scale & 15) | (high.min & 15) << 4);
  }
}

void quantize_q4_k(const float* in, uint8_t* block) {
  Line lines[8];
  float largest_scale = 0, largest_min = 0;
  for (uint32_t g = 0; g < 8; ++g) {
    lines[g] = fit_line(in + kGroup * g);
    largest_scale = std::max(largest_scale, lines[g].scale);
    largest_min = std::max(largest_min, lines[g].min);
  }
  const float d = store_half(largest_scale / 63.0f, block), dmin = store_half(largest_min / 63.0f, block + 2);
  SmallLine rounded[8];
  for (uint32_t g = 0; g < 8; ++g) rounded[g] = round_line(in + kGroup * g, lines[g], d, dmin);
  pack_lines(rounded, block + 4);
  std::memset(block + 16, 0, 128);
  for (uint32_t i = 0; i < kSuperBlock; ++i) {
    const uint32_t g = i / kGroup;
    const Line line = {d * static_cast<float>(rounded[g].scale), dmin * static_cast<float>(rounded[g].min)};
    const int q = quant4(in[i], line, inverse_of(line.scale));
    block[16 + g / 2 * 32 + i % 32] |= static_cast<uint8_t>(q << (g % 2 * 4));
  }
}

// ---- Q6_K

constexpr uint32_t kHalfGroup = 16;

int quant6(float value, float inverse) { return round_to_int(value * inverse, -32, 31); }

float error_of(const float* in, float scale) {
  const float inverse = inverse_of(scale);
  float error = 0;
  for (uint32_t i = 0; i < kHalfGroup; ++i) {
    const float difference = scale * static_cast<float>(quant6(in[i], inverse)) - in[i];
    error += difference * difference;
  }
  return error;
}

float refit(const float* in, float start) {
  const float inverse = inverse_of(start);
  float sum_qq = 0, sum_qx = 0;
  for (uint32_t i = 0; i < kHalfGroup; ++i) {
    const auto q = static_cast<float>(quant6(in[i], inverse));
    sum_qq += q * q;
    sum_qx += q * in[i];
  }
  return sum_qq > 0 ? sum_qx / sum_qq : start;
}

// The scale of either sign with the least error.
float fit_scale(const float* in) {
  const float extreme = extreme_of(in, kHalfGroup);
  if (extreme == 0) return 0;
  float best = 0;
  float least = std::numeric_limits<float>::infinity();
  for (int step = -kTries; step <= kTries; ++step) {
    const float start = extreme / (-32.0f + 0.15f * static_cast<float>(step));
    for (const float scale : {start, refit(in, start)}) {
      const float error = error_of(in, scale);
      if (error < least) least = error, best = scale;
    }
  }
  return best;
}

int round_scale(const float* in, float scale, float d) {
  const int middle = round_to_int(scale * inverse_of(d), -128, 127);
  int best = middle;
  float least = std::numeric_limits<float>::infinity();
  for (int tried = std::max(middle - 1, -128); tried <= std::min(middle + 1, 127); ++tried) {
    const float error = error_of(in, d * static_cast<float>(tried));
    if (error < least) least = error, best = tried;
  }
  return best;
}

void quantize_q6_k(const float* in, uint8_t* block) {
  float scales[16];
  for (uint32_t g = 0; g < 16; ++g) scales[g] = fit_scale(in + kHalfGroup * g);
  std::memset(block, 0, 192);
  const float d = store_half(extreme_of(scales, 16) / -128.0f, block + 208);
  for (uint32_t g = 0; g < 16; ++g) {
    const int rounded = round_scale(in + kHalfGroup * g, scales[g], d);
    block[192 + g] = static_cast<uint8_t>(rounded);
    const float inverse = inverse_of(d * static_cast<float>(rounded));
    for (uint32_t i = kHalfGroup * g; i < kHalfGroup * (g + 1); ++i) {
      const int q = quant6(in[i], inverse) + 32;
      const uint32_t half = i / 128, quarter = i % 128 / 32;
      block[half * 64 + quarter % 2 * 32 + i % 32] |= static_cast<uint8_t>((q & 15) << (quarter / 2 * 4));
      block[128 + half * 32 + i % 32] |= static_cast<uint8_t>(q >> 4 << (quarter * 2));
    }
  }
}

using QuantizeBlock = void (*)(const float* in, uint8_t* block);

QuantizeBlock quantizer_of(BlockType type) {
  switch (type) {
    case BlockType::kF32: return quantize_f32;
    case BlockType::kF16: return quantize_f16;
    case BlockType::kBF16: return quantize_bf16;
    case BlockType::kQ8_0: return quantize_q8_0;
    case BlockType::kQ4_0: return quantize_q4_0;
    case BlockType::kMXFP4: return quantize_mxfp4;
    case BlockType::kQ4_K: return quantize_q4_k;
    case BlockType::kQ6_K: return quantize_q6_k;
    default: return nullptr;
  }
}

}  // namespace

bool can_quantize(BlockType type) { return quantizer_of(type) != nullptr; }

Status quantize(BlockType type, std::span<const float> values, std::span<std::byte> blocks) {
  const QuantizeBlock quantize_block = quantizer_of(type);
  if (!quantize_block) return error(Code::kUnsupported, "there is no quantiser for type %s", block_type_name(type));
  HOTSET_ASSIGN(const uint64_t expected_bytes, row_bytes(type, values.size()));
  if (blocks.size() != expected_bytes) {
    return error(Code::kInvalidArgument, "%zu values of type %s take %llu bytes, not %zu", values.size(), block_type_name(type),
                 static_cast<unsigned long long>(expected_bytes), blocks.size());
  }
  auto* block = reinterpret_cast<uint8_t*>(blocks.data());
  for (size_t i = 0; i < values.size(); i += block_elements(type), block += block_bytes(type)) quantize_block(values.data() + i, block);
  return ok_status();
}

}  // namespace hotset
