// Weights of 4 bits as checkpoints ship them, and the GGUF blocks that hold the same numbers. Pure functions; any thread.
//
//   MXFP4   a byte of scale for 32 weights (E8M0: 2^(s - 127)), weights as E2M1 floats
//   INT4    a scale (any float) for a group of weights; weight = scale * (q - 8)
//
// Both have the weights of a row in order, two a byte, the even one in the low nibble; GGUF's blocks of 32 have weights 0..15 in the low
// nibbles and 16..31 in the high ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "platform/status.h"

namespace hotset {

constexpr size_t kPackedGroup = 32;  // weights of a block of MXFP4 and Q4_0

// out.size() weights; `nibbles` has half as many bytes and `scales` one for 32 weights.
void unpack_mxfp4(std::span<const std::byte> nibbles, std::span<const std::byte> scales, std::span<float> out);
// `scales` has one for out.size() / scales.size() weights.
void unpack_int4(std::span<const std::byte> nibbles, std::span<const float> scales, std::span<float> out);

// The same weights as MXFP4 blocks, exactly.
void repack_mxfp4(std::span<const std::byte> nibbles, std::span<const std::byte> scales, std::span<std::byte> blocks);
// The same weights as Q4_0 blocks; exact where a half holds the scale, and else that is rounded. Error: a scale too large for a half.
Status repack_int4(std::span<const std::byte> nibbles, std::span<const float> scales, std::span<std::byte> blocks);

}  // namespace hotset
