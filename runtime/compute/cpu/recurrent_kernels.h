// Recurrences over tokens on the CPU: part of each set of FloatKernels. Pointers need no alignment. Any thread.
//
// Functions are static: files of different instruction sets must not share code that the compiler made for one of them.
#pragma once

#include <cstdint>

namespace hotset::cpu {

// Floats that are a stride apart from token to token.
struct TokenRows {
  const float* at = nullptr;
  uint64_t stride = 0;
};
static inline const float* row_of(const TokenRows& rows, uint32_t token) { return rows.at + token * rows.stride; }

// Columns that a run of linear attention takes at a time; rows of its S have this stride.
constexpr uint32_t kStateColumns = 64;

// Some columns of one head of linear attention over a run of tokens (LinearAttentionShape in runtime/compute/ops.h).
struct HeadRun {
  TokenRows q;      // of this head, from its first key dim
  TokenRows k;
  TokenRows v;      // from the first of the columns
  TokenRows decay;  // logarithms; nullptr: none
  TokenRows beta;   // nullptr: 1
  float* out;
  uint64_t out_stride;
  float* s;        // [key_dim][kStateColumns]; columns past the last are zero
  float* factors;  // scratch: [2][factor_floats(key_dim)]
  uint32_t n;
  uint32_t key_dim;
  uint32_t columns;    // at most kStateColumns
  bool decay_by_key;   // decay rows have a number for each key dim, else one
  bool delta;
  float scale;
};
static constexpr uint32_t factor_floats(uint32_t key_dim) { return (key_dim + 15) / 16 * 16; }  // whole vectors

// Some channels of a selective scan (SelectiveScanShape) over a run of tokens.
struct ScanRun {
  TokenRows x;  // from the first of the channels, like all but b and c
  TokenRows dt;
  TokenRows b;
  TokenRows c;
  const float* a;
  const float* d;
  float* state;
  float* out;
  uint64_t out_stride;
  uint32_t n;
  uint32_t channels;
  uint32_t state_dim;
};

struct RecurrentKernels {
  // One token of a convolution: out = sum over j of taps[j * count + i] * rows[j][i], plus bias where given; silu of that when asked for.
  void (*convolve)(const float* const* rows, const float* taps, const float* bias, uint32_t kernel, bool silu, float* out, uint32_t count);
  void (*linear_attention)(const HeadRun& run);
  void (*selective_scan)(const ScanRun& run);
};

}  // namespace hotset::cpu
