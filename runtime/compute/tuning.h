// Every tunable of the GPU kernels, with its reason. Pure functions of a device's limits and a matrix's shape.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "platform/vulkan/device.h"
#include "runtime/format/quant.h"

namespace hotset::tuning {

// Invocations of a workgroup for elementwise work. One subgroup spreads a small tensor over the cores of a software device.
inline uint32_t elementwise_workgroup(const DeviceLimits& limits) {
  return limits.software ? limits.subgroup_size : std::max(64u, limits.subgroup_size);
}

// Invocations that share a row of `cols` values: one subgroup on a software device, whose barriers are slow.
inline uint32_t row_workgroup(const DeviceLimits& limits, uint32_t cols) {
  if (limits.software) return limits.subgroup_size;
  return std::clamp(std::bit_ceil(cols / 4), limits.subgroup_size, std::max(256u, limits.subgroup_size));
}

// How a mat-vec kernel divides a matrix; specialisation constants of shaders/dots.glsl.
struct Matvec {
  uint32_t lanes = 1;       // that share a row; a power of 2
  uint32_t workgroup = 8;   // invocations
  uint32_t subgroup = 8;
  uint32_t step_words = 8;  // words of quants that a lane takes at a time: 1, 2, 4 or 8
  uint32_t wide = 0;        // 1: 64-bit loads in place of 128-bit ones
  uint32_t rows = 2;        // 1..4: that a lane works on together, sharing the loads of x

  uint32_t rows_per_workgroup() const { return workgroup / lanes * rows; }
};

// A GPU wants neighbouring lanes on neighbouring words: a whole subgroup on a row, fewer where the row is too short to
// give each lane a step of 16 weights.
//
// A software device gathers lane by lane whatever the addresses, and its subgroup sums are slow: there each lane has its
// own row, which also unpacks scales once for a long step. A gather of 64-bit words costs as many lanes as one of 32
// bits and brings twice the bytes. Measured on llvmpipe (AVX-512, 8 lanes), GB of weights a CPU second at 2048x2048
// with 1, 2 and 4 rows: Q4_K 1.7, 2.5, 2.5; Q6_K 2.4, 2.2, 3.0; Q8_0 2.9, 3.4, 3.3. Few rows are left to more cores.
inline Matvec matvec(const DeviceLimits& limits, uint32_t rows, uint32_t cols) {
  Matvec made;
  made.subgroup = limits.subgroup_size;
  if (limits.software) {
    made.workgroup = limits.subgroup_size;
    made.wide = 1;
    made.rows = rows >= 64 * limits.subgroup_size ? 4 : 2;
    return made;
  }
  made.lanes = std::clamp(std::bit_floor(cols / 16), 1u, limits.subgroup_size);
  made.workgroup = std::max(64u, limits.subgroup_size);
  made.step_words = 2;
  return made;
}

// How batch products and attention are cut up. None of it changes a result, except shared_tiles and decode_workgroups.
struct Batch {
  // Attention. A column is one head of one token; the columns of a workgroup share the keys and values that it loads.
  bool shuffle_queries = true;     // q reaches the lanes by shuffles instead of uniform loads
  uint32_t attention_columns = 8;  // at most
  uint32_t decode_workgroups = 4;  // decode splits the context until there are about so many

  // Products. shared_tiles: weights and activations go through shared memory. Else a lane owns `lane_rows` whole rows for
  // `tile_tokens` tokens.
  bool shared_tiles = false;
  uint32_t lane_rows = 2;
  uint32_t tile_tokens = 16;
  uint32_t cached_tokens = 64;  // whose activations stay in a core's cache while rows of weights go by
};

// The kernels that hand activations round by shuffles take eight at a time.
inline constexpr uint32_t kShuffledValues = 8;

// A software device loads one address for all lanes as slowly as eight, and shared memory and barriers cost it most: there a
// lane owns its rows and activations come by shuffles. A GPU serves uniform loads from its first cache. Software devices on
// CPUs with 128-bit vectors have subgroups of 4, too few for those shuffles.
inline Batch batch(const DeviceLimits& limits) {
  Batch made;
  if (limits.software && limits.subgroup_size >= kShuffledValues) return made;
  made.shuffle_queries = false;
  if (!limits.software) made.decode_workgroups = 256;
  made.shared_tiles = true;
  return made;
}

}  // namespace hotset::tuning
