// Products of quantised weight rows with activations on the CPU: one set of kernels per instruction set, chosen at run time.
//
// Weights lie as in the model file (runtime/format/quant.h). Activations are prepared once per vector and read by all rows:
// for quantised weights they are rounded to 8 bits, so that the products of a block are whole numbers and exact; for F32, F16
// and BF16 they stay float32. Sets differ only in the order in which blocks' floats are summed. Any thread.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/format/quant.h"

namespace hotset::cpu {

// Bytes of one prepared activation of `cols` values for weights of this type; a multiple of 64. cols: whole blocks.
uint64_t activation_bytes(BlockType weight_type, uint32_t cols);

// Whether rows of both types read the same prepared form.
bool same_activation(BlockType a, BlockType b);

struct Kernels {
  const char* name;  // "avx512-vnni", "avx2", "neon", "portable"

  // Prepares x[cols] into activation_bytes() at `out`, aligned to 64 bytes. Rounding is symmetric and to nearest even, with
  // one scale amax / 127 for each 32 values (blocks of up to 128) or 256 (blocks of so many); every set writes the same bytes. A scale
  // block whose amax is below 2^-119 counts as zeros; one with an infinity or NaN makes every product NaN.
  void (*prepare)(BlockType weight_type, const float* x, uint32_t cols, void* out);

  // out[t * out_stride + r] = row r . activation t, for r < row_count and t < tokens. Rows lie row_bytes apart, at any
  // addresses; nothing outside them is read. Activations lie act_stride bytes apart, a multiple of 64,
  // from an address that is one too. Each output is summed in an order that depends on type and cols alone, so a product
  // has the same bits however rows and tokens are split over calls and threads.
  void (*multiply)(BlockType type, const void* rows, uint64_t row_bytes, uint32_t row_count, uint32_t cols, const void* activations,
                   uint64_t act_stride, uint32_t tokens, float* out, uint64_t out_stride);
};

// The best set for this machine.
const Kernels& kernels();

// The sets that this machine can run, portable first, best last.
std::span<const Kernels* const> all_kernels();

}  // namespace hotset::cpu
