// The prepared forms of an activation (dot.h), laid out for 64-byte loads.
//
// Functions are static: files of different instruction sets must not share code that the compiler made for one of them.
#pragma once

#include <cstdint>

#include "runtime/format/quant.h"

namespace hotset::cpu {

enum class ActivationForm { kFloat, kSmall, kSuper };

static constexpr ActivationForm activation_form(BlockType weight_type) {
  switch (weight_type) {
    case BlockType::kQ8_0:
    case BlockType::kQ4_0:
    case BlockType::kMXFP4:
    case BlockType::kQ4_1:
    case BlockType::kQ5_0:
    case BlockType::kQ5_1:
    case BlockType::kIQ4_NL:
    case BlockType::kNVFP4:
    case BlockType::kQ1_0:
    case BlockType::kQ2_0: return ActivationForm::kSmall;
    case BlockType::kF32:
    case BlockType::kF16:
    case BlockType::kI32:
    case BlockType::kBF16: return ActivationForm::kFloat;
    default: return ActivationForm::kSuper;  // blocks of 256
  }
}

// Four blocks of 32 values. Blocks of 4-bit weights hold the halves of their 32 values in the low and the high nibbles of the
// same 16 bytes, so the halves of four blocks lie together. A row's last group is filled up with zeros.
struct alignas(64) SmallActivation {
  static constexpr uint32_t kBlocks = 4;
  static constexpr uint32_t kValues = 128;

  int8_t first[4][16];          // values 0..15 of each block
  int8_t second[4][16];         // values 16..31
  float scale[4][4];            // of each block, four times
  int32_t negative_sums[4][4];  // minus the sum of first[block][4 i ..] and second[block][4 i ..]: takes out the offset of weights
                                // that a kernel multiplies as unsigned numbers
};
static_assert(sizeof(SmallActivation) == 256);

// 256 values in 8 groups of 32.
struct alignas(64) SuperActivation {
  static constexpr uint32_t kValues = 256;
  // The bytes of Q4_K hold groups 0 and 1, then 2 and 3, in low and high nibbles: 64 of them are groups 0 2 and 1 3.
  static constexpr uint32_t kPlaceOfGroup[8] = {0, 2, 1, 3, 4, 6, 5, 7};

  int8_t values[8][32];  // group g at kPlaceOfGroup[g]
  int16_t sums16[16];    // of values 16 i ..
  int16_t sums32[8];     // of group i
  float scale;
  uint8_t unused[12];
};
static_assert(sizeof(SuperActivation) == 320);

static constexpr uint32_t small_groups(uint32_t cols) { return (cols + SmallActivation::kValues - 1) / SmallActivation::kValues; }

}  // namespace hotset::cpu
