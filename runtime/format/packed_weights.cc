#include "runtime/format/packed_weights.h"

#include <cmath>

#include "platform/check.h"
#include "runtime/format/half.h"
#include "runtime/format/mxfp4.h"

namespace hotset {
namespace {

constexpr size_t kMxfp4BlockBytes = 17;
constexpr size_t kQ4BlockBytes = 18;

uint8_t nibble_of(std::span<const std::byte> nibbles, size_t i) {
  const auto byte = static_cast<uint8_t>(nibbles[i / 2]);
  return static_cast<uint8_t>(i % 2 == 0 ? byte & 15 : byte >> 4);
}

// 32 weights in the order of GGUF's blocks.
void reorder_nibbles(std::span<const std::byte> nibbles, size_t first, std::byte* out) {
  for (size_t i = 0; i < kPackedGroup / 2; ++i) {
    out[i] = static_cast<std::byte>(nibble_of(nibbles, first + i) | nibble_of(nibbles, first + i + kPackedGroup / 2) << 4);
  }
}

}  // namespace

void unpack_mxfp4(std::span<const std::byte> nibbles, std::span<const std::byte> scales, std::span<float> out) {
  HOTSET_CHECK(nibbles.size() * 2 == out.size() && scales.size() * kPackedGroup == out.size());
  for (size_t i = 0; i < out.size(); ++i) {
    const float half_scale = mxfp4_half_scale(static_cast<uint8_t>(scales[i / kPackedGroup]));
    out[i] = half_scale * static_cast<float>(kMxfp4Doubled[nibble_of(nibbles, i)]);
  }
}

void unpack_int4(std::span<const std::byte> nibbles, std::span<const float> scales, std::span<float> out) {
  HOTSET_CHECK(nibbles.size() * 2 == out.size() && !scales.empty() && out.size() % scales.size() == 0);
  const size_t group = out.size() / scales.size();
  for (size_t i = 0; i < out.size(); ++i) out[i] = scales[i / group] * static_cast<float>(nibble_of(nibbles, i) - 8);
}

void repack_mxfp4(std::span<const std::byte> nibbles, std::span<const std::byte> scales, std::span<std::byte> blocks) {
  HOTSET_CHECK(nibbles.size() * 2 == scales.size() * kPackedGroup && blocks.size() == scales.size() * kMxfp4BlockBytes);
  for (size_t i = 0; i < scales.size(); ++i) {
    blocks[i * kMxfp4BlockBytes] = scales[i];
    reorder_nibbles(nibbles, i * kPackedGroup, &blocks[i * kMxfp4BlockBytes + 1]);
  }
}

Status repack_int4(std::span<const std::byte> nibbles, std::span<const float> scales, std::span<std::byte> blocks) {
  HOTSET_CHECK(nibbles.size() * 2 == scales.size() * kPackedGroup && blocks.size() == scales.size() * kQ4BlockBytes);
  for (size_t i = 0; i < scales.size(); ++i) {
    const uint16_t half = float_to_half(scales[i]);
    if (!std::isfinite(half_to_float(half))) return error(Code::kUnsupported, "a scale of %g is too large for Q4_0", static_cast<double>(scales[i]));
    std::byte* block = &blocks[i * kQ4BlockBytes];
    block[0] = static_cast<std::byte>(half & 255);
    block[1] = static_cast<std::byte>(half >> 8);
    reorder_nibbles(nibbles, i * kPackedGroup, block + 2);
  }
  return ok_status();
}

}  // namespace hotset
