// How the rows and tokens of one multiply() are walked; shared by the files of all instruction sets, which fill in the dot
// product. Everything here has internal linkage: see activation.h.
#pragma once

#include <cstdint>

#include "runtime/compute/cpu/activation.h"

// Before a loop of at most eight rounds over arrays that shall be registers.
#ifdef __clang__
#define HOTSET_UNROLL _Pragma("unroll")
#else
#define HOTSET_UNROLL _Pragma("GCC unroll 8")
#endif

namespace hotset::cpu {
namespace {

struct Product {
  const uint8_t* rows;
  uint64_t row_bytes;
  uint32_t row_count;
  uint32_t cols;
  const uint8_t* activations;
  uint64_t act_stride;
  uint32_t tokens;
  float* out;
  uint64_t out_stride;
};

// How far ahead weights are asked for. From memory, decoding Q4_K, Q6_K, Q8_0 and MXFP4 gains 10 to 40 % on a Xeon of the
// Sapphire Rapids kind with anything from 2 to 6 KiB; nothing is lost in cache.
constexpr uint32_t kPrefetchBytes = 3072;

// Asks for the `bytes` that lie kPrefetchBytes behind `at`; they need not exist.
template <uint32_t bytes>
void prefetch(const uint8_t* at) {
  for (uint32_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + kPrefetchBytes + i);
}

// Rows that stay in the second-level cache while all tokens pass over them; caches of 512 KiB are the least in use.
constexpr uint64_t kChunkBytes = 256 << 10;

// Dot::rows<T>(row, cols, activation, act_stride, out, out_stride): one row with T activations; Dot::kTokens, a power of two: the
// most that registers hold the sums of.
template <class Dot, uint32_t T>
void tile_rows(const Product& p, uint32_t first_row, uint32_t end_row, uint32_t token) {
  const uint8_t* activation = p.activations + token * p.act_stride;
  float* out = p.out + token * p.out_stride;
  for (uint32_t r = first_row; r < end_row; ++r) {
    Dot::template rows<T>(p.rows + r * p.row_bytes, p.cols, activation, p.act_stride, out + r, p.out_stride);
  }
}

// Tokens from `token` on, T at a time, what is left in halves of that.
template <class Dot, uint32_t T>
void tile_tokens(const Product& p, uint32_t first_row, uint32_t end_row, uint32_t token) {
  for (; p.tokens - token >= T; token += T) tile_rows<Dot, T>(p, first_row, end_row, token);
  if constexpr (T > 1) tile_tokens<Dot, T / 2>(p, first_row, end_row, token);
}

template <class Dot>
void multiply_tiled(const Product& p) {
  const uint64_t fitting = kChunkBytes / (p.row_bytes + 1);
  const uint32_t chunk = fitting < p.row_count ? static_cast<uint32_t>(fitting) + 1 : p.row_count;
  for (uint32_t first = 0; first < p.row_count; first += chunk) {
    tile_tokens<Dot, Dot::kTokens>(p, first, p.row_count - first < chunk ? p.row_count : first + chunk, 0);
  }
}

}  // namespace
}  // namespace hotset::cpu
