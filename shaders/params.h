// Push constants and limits that C++ and GLSL share: each struct is written once.
//
// GLSL includes this with GL_EXT_scalar_block_layout and GL_EXT_shader_explicit_arithmetic_types_int64; every struct has its
// 64-bit members first and 4-byte members after, so scalar layout and C++ agree. At most 128 bytes each.
#ifndef HOTSET_SHADERS_PARAMS_H
#define HOTSET_SHADERS_PARAMS_H

#ifdef __cplusplus
#include <cstdint>
namespace hotset::shaders {
using uint = uint32_t;
#define HOTSET_ADDRESS uint64_t
#else
#define HOTSET_ADDRESS uint64_t
#endif

// Most experts a token may use; the largest top-k of the known families is 22.
const uint kMaxTopK = 32;

// Lives in memory that host and device share. One per session.
struct Control {
  uint position;  // of the first token of this pass
  uint stop;      // 0: run; layer + 1: a chosen expert of that MoE layer has no address, later dispatches do nothing
  uint reserved0;
  uint reserved1;
};

// A run of (token, slot) pairs that share an expert, at most one tile of them.
struct ExpertTile {
  HOTSET_ADDRESS expert;  // record of the expert: gate, up, down at the offsets of the push constants
  uint first_pair;        // index into the pair list
  uint pair_count;
};

struct EmbedPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS table;
  HOTSET_ADDRESS tokens;  // uint [n]
  HOTSET_ADDRESS out_;    // float [n][cols]
  uint cols;
  uint row_bytes;
};

struct RmsNormPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS x;       // float [n][cols]
  HOTSET_ADDRESS weight;  // float [cols]
  HOTSET_ADDRESS out_;    // float [n][cols]
  uint cols;
  float eps;
};

struct MatvecPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS weights;
  HOTSET_ADDRESS x;         // float [n][cols]
  HOTSET_ADDRESS residual;  // float [n][rows]; 0: none
  HOTSET_ADDRESS out_;      // float [n][rows]
  uint rows;
  uint cols;
  uint row_bytes;
};

struct RoutePush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS scores;     // float [n][experts]
  HOTSET_ADDRESS ids;        // uint [n][used]
  HOTSET_ADDRESS weights;    // float [n][used]
  HOTSET_ADDRESS table;      // address [experts]; 0: none
  HOTSET_ADDRESS addresses;  // address [used]
  uint experts;
  uint used;
  uint renormalise;
  float scale;
  uint stop_value;
};

struct ExpertUpPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS addresses;  // address [used]
  HOTSET_ADDRESS x;          // float [embd]
  HOTSET_ADDRESS hidden;     // float [used][ff]
  uint embd;
  uint ff;
  uint gate_offset;
  uint up_offset;
  uint gate_row_bytes;
  uint up_row_bytes;
};

struct ExpertDownPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS addresses;  // address [used]
  HOTSET_ADDRESS weights;    // float [used]
  HOTSET_ADDRESS hidden;     // float [used][ff]
  HOTSET_ADDRESS out_;       // float [embd], added to
  uint embd;
  uint ff;
  uint used;
  uint down_offset;
  uint down_row_bytes;
};

#ifdef __cplusplus
}  // namespace hotset::shaders
#endif
#endif
