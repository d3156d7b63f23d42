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
// Most groups that experts may be chosen by; known families have 8.
const uint kMaxRouteGroups = 32;

// What a router reads beside its scores: bits of a specialisation constant of route.comp.
const uint kRouteLogitBias = 1;
const uint kRouteChoiceBias = 2;
const uint kRouteExpertScales = 4;
const uint kRouteTokenTable = 8;

// How experts differ from plain SwiGLU ones: bits of a specialisation constant of the expert shaders.
const uint kExpertGlu = 1;            // a function and numbers of its own
const uint kExpertGateless = 2;
const uint kExpertWeightedInput = 4;  // the weight multiplies the input, not the output
const uint kExpertGateBias = 8;
const uint kExpertUpBias = 16;
const uint kExpertDownBias = 32;

// Code books of the IQ types in memory, in words (runtime/compute/codebook_words.h): where each begins, and their size.
const uint kIq2XxsBook = 0;
const uint kIq2XsBook = 512;
const uint kIq2SBook = 1536;
const uint kIq3XxsBook = 3584;
const uint kIq3SBook = 3840;
const uint kIq1Book = 4352;
const uint kBookWords = 6400;
// Where the address of the books lies among the push constants, behind the struct of a kernel that reads weights.
const uint kBooksPushOffset = 120;

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

// Glu (runtime/compute/ops.h) without its function, part of push constants.
struct GluNumbers {
  float alpha;
  float gate_low;
  float gate_high;
  float up_low;
  float up_high;
  float up_offset;
};

// map.comp. An operand: element i of row t at [t * stride + i / group % period]; 0: no such operand.
struct MapPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS a;
  HOTSET_ADDRESS b;
  HOTSET_ADDRESS c;
  HOTSET_ADDRESS out_;
  uint strides[3];  // of a, b, c, in floats
  uint groups[3];
  uint periods[3];  // never 0
  uint out_stride;
  uint cols;
  float scale;
  GluNumbers glu;
};

// norm.comp
struct NormPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS x;
  HOTSET_ADDRESS weight;  // float [cols], weight_stride from group to group; 0: none
  HOTSET_ADDRESS bias;    // likewise
  HOTSET_ADDRESS out_;
  uint x_stride;  // floats from row to row
  uint out_stride;
  uint cols;  // of a group
  uint weight_stride;
  float eps;
};

// rope.comp
struct RopePush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS x;      // turned in place
  HOTSET_ADDRESS table;  // float [n][pairs][2]: cos, sin
  uint x_stride;         // floats from row to row
  uint heads;
  uint head_stride;
  uint first;
  uint pairs;
};

// store_rows.comp
struct StoreRowsPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS x;
  HOTSET_ADDRESS cache;
  uint x_stride;    // floats from row to row
  uint row_stride;  // elements from cache row to cache row
  uint context_tokens;
  uint cols;
  uint every;  // positions that share a row
};

// matmul_heads.comp and matmul_heads_transposed.comp. weight: [heads][rows][cols], or [heads][cols][rows].
struct MatmulHeadsPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS weight;
  HOTSET_ADDRESS x;
  HOTSET_ADDRESS out_;
  uint rows;  // outputs of a head
  uint cols;  // inputs of a head
  uint row_bytes;
  uint x_stride;  // floats
  uint x_head_stride;
  uint out_stride;
  uint out_head_stride;
};

// store_kv.comp: one workgroup (a subgroup) per head of q, k and v and per token.
struct StoreKvPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS q;       // float [n][heads][head_dim], rotated in place
  HOTSET_ADDRESS k;       // float [n][kv_heads][head_dim]
  HOTSET_ADDRESS v;       // float [n][kv_heads][value_dim]
  HOTSET_ADDRESS q_norm;  // float [head_dim]; 0: no norm
  HOTSET_ADDRESS k_norm;
  HOTSET_ADDRESS rope;    // float [n][rope_dim / 2][2]: cos, sin
  HOTSET_ADDRESS keys;
  HOTSET_ADDRESS values;
  uint heads;
  uint kv_heads;
  uint head_dim;
  uint value_dim;
  uint rope_dim;
  uint context_tokens;
  float norm_eps;
  uint key_stride;  // elements from cache row to cache row
  uint value_stride;
};

// attention.comp and attention_merge.comp. parts: float [n][heads][splits][value_dim + 2]: sums, then maximum and weight.
struct AttentionPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS q;
  HOTSET_ADDRESS keys;
  HOTSET_ADDRESS values;
  HOTSET_ADDRESS out_values;
  HOTSET_ADDRESS parts;
  HOTSET_ADDRESS sinks;  // float [heads]; 0: none
  HOTSET_ADDRESS mask;   // uint [n][mask_heads][mask_words]
  HOTSET_ADDRESS beside;  // rows like those of the keys
  uint n;
  uint heads;
  uint kv_heads;
  uint context_tokens;
  float scale;
  uint key_stride;  // elements from cache row to cache row
  uint value_stride;
  uint window;  // 0: none
  uint chunk;   // 0: none
  uint mask_words;
  uint mask_heads;  // 1, or kv_heads
  float softcap;
  uint beside_every;  // positions that a row beside stands for; 0: there are none
};

// select_scores.comp and select_mask.comp.
struct SelectPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS q;        // float [n][heads * head_dim]
  HOTSET_ADDRESS weights;  // float [n][heads], where all heads choose together
  HOTSET_ADDRESS keys;
  HOTSET_ADDRESS scores;   // float [tokens of the tile][masks][blocks]
  HOTSET_ADDRESS mask;     // uint [n][masks][mask_words]
  uint first_token;        // of the tile
  uint heads;
  uint q_stride;
  uint weight_stride;
  uint context_tokens;
  uint block;
  uint blocks;             // of the context
  uint top_k;
  uint own_blocks;
  uint mask_words;
  uint every;
  uint spread_tokens;
};

// Keys a split of attention takes at least.
const uint kMinSplitKeys = 256;

// matmul.comp and matmul_tiled.comp.
struct MatmulPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS weight;
  HOTSET_ADDRESS x;           // float [n][cols]
  HOTSET_ADDRESS out_values;  // float [n][rows]
  HOTSET_ADDRESS residual;    // float [n][rows]; 0: none
  uint rows;
  uint cols;
  uint row_bytes;
  uint n;
};

// expert_up_batch.comp (first: gate, second: up; without a gate first: up) and expert_down_batch.comp (first: down).
struct ExpertBatchPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS tiles;       // ExpertTile [tiles]
  HOTSET_ADDRESS pairs;       // uint: token * used + slot
  HOTSET_ADDRESS x;           // float: up: [n][cols] by token; down: [n * used][cols] by pair
  HOTSET_ADDRESS out_values;  // float [n * used][rows] by pair
  HOTSET_ADDRESS weights;     // float [n * used] by pair; read where they multiply the input
  uint rows;
  uint cols;
  uint used;
  uint first_offset;  // bytes from the expert's record
  uint first_row_bytes;
  uint second_offset;
  uint second_row_bytes;
  uint gate_bias_offset;  // float [rows]
  uint bias_offset;       // of up or of down: float [rows]
  GluNumbers glu;
};

// combine.comp
struct CombinePush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS weights;     // float [n][used]
  HOTSET_ADDRESS parts;       // float [n * used][embd]
  HOTSET_ADDRESS out_values;  // float [n][embd]
  uint used;
  uint embd;
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

// Matrices of one type and width that one dispatch multiplies with the same x.
const uint kMaxProducts = 3;

struct MatvecPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS x;         // float [n][cols]
  HOTSET_ADDRESS residual;  // float [n][rows]; 0: none
  HOTSET_ADDRESS weights[kMaxProducts];
  HOTSET_ADDRESS out_[kMaxProducts];  // float [n][rows]
  uint rows[kMaxProducts];
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
  HOTSET_ADDRESS logit_bias;     // float [experts]
  HOTSET_ADDRESS choice_bias;    // float [experts]
  HOTSET_ADDRESS expert_scales;  // float [experts]
  HOTSET_ADDRESS tokens;         // uint [n]
  HOTSET_ADDRESS token_experts;  // uint [vocab][used]
  uint experts;
  uint used;
  uint renormalise;
  float scale;
  uint stop_value;
  float least_sum;
};

struct ExpertUpPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS addresses;  // address [used]
  HOTSET_ADDRESS x;          // float [embd]
  HOTSET_ADDRESS hidden;     // float [used][ff]
  HOTSET_ADDRESS weights;    // float [used]; read where they multiply the input
  uint embd;
  uint ff;
  uint gate_offset;
  uint up_offset;
  uint gate_row_bytes;
  uint up_row_bytes;
  uint gate_bias_offset;  // float [ff]
  uint up_bias_offset;
  GluNumbers glu;
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
  uint down_bias_offset;  // float [embd]
};

struct AddPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS x;     // float [count]
  HOTSET_ADDRESS out_;  // float [count], added to
  uint count;
};

struct ExportPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS x;     // float [count]
  HOTSET_ADDRESS out_;  // float [count]
  uint count;
  uint stop_value;      // copies only when Control.stop is this
};

// Loads of 16 bytes that an invocation of read_sum.comp has under way at a time.
const uint kReadDepth = 8;

struct ReadSumPush {
  HOTSET_ADDRESS from;  // uint [quads][4]
  HOTSET_ADDRESS out_;  // uint [workgroups][subgroups]
  uint quads;
  uint steps;           // a workgroup's loads, each of WORKGROUP * kReadDepth neighbouring quads
};

// conv.comp: tokens that an invocation walks through.
const uint kConvTokens = 16;
// Taps of a convolution at most, so that only the first such walk reads the state. The known families have 3 or 4.
const uint kMaxConvKernel = kConvTokens + 1;

struct ConvPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS x;
  HOTSET_ADDRESS weight;  // float [channels][kernel]
  HOTSET_ADDRESS bias;    // float [channels]; 0: none
  HOTSET_ADDRESS state;   // float [kernel - 1][channels]
  HOTSET_ADDRESS out_;
  uint channels;
  uint n;
  uint x_stride;
  uint out_stride;
};

// Key dims of a head of linear attention, and state of a scan's channel: what registers hold.
const uint kMaxStateDim = 256;

// Numbers of Decay in runtime/compute/ops.h.
const uint kDecayNone = 0;
const uint kDecayHead = 1;
const uint kDecayChannel = 2;
const uint kDecayConstant = 3;

struct LinearAttentionPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS q;      // head h reads key head h / key_group % key_heads
  HOTSET_ADDRESS k;
  HOTSET_ADDRESS v;
  HOTSET_ADDRESS decay;
  HOTSET_ADDRESS beta;   // 0: none
  HOTSET_ADDRESS state;  // float [heads][key_dim][value_dim]
  HOTSET_ADDRESS out_;
  uint n;
  uint key_heads;
  uint key_group;
  uint value_dim;
  uint q_stride;  // floats from token to token
  uint k_stride;
  uint v_stride;
  uint decay_stride;
  uint beta_stride;
  uint out_stride;
  float scale;
};

struct SelectiveScanPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS x;
  HOTSET_ADDRESS dt;
  HOTSET_ADDRESS b;
  HOTSET_ADDRESS c;
  HOTSET_ADDRESS a;      // float [channels][state_dim]
  HOTSET_ADDRESS d;      // float [channels]
  HOTSET_ADDRESS state;  // float [channels][state_dim]
  HOTSET_ADDRESS out_;
  uint channels;
  uint n;
  uint x_stride;
  uint dt_stride;
  uint b_stride;
  uint c_stride;
  uint out_stride;
};

// Residual streams: registers of mix_streams.comp. The known families have 4.
const uint kMaxStreams = 8;

struct CompressPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS values;  // float [n][cols]
  HOTSET_ADDRESS scores;
  HOTSET_ADDRESS bias;    // float [ratio][cols]
  HOTSET_ADDRESS state;   // float [2][positions][cols]: values, then scores
  HOTSET_ADDRESS out_;    // float [n][width]
  uint width;
  uint cols;
  uint ratio;
  uint positions;
  uint n;
  uint value_stride;  // floats from token to token
  uint score_stride;
  uint out_stride;
};

struct StreamWeightsPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS mixes;
  HOTSET_ADDRESS scale;  // float [3]
  HOTSET_ADDRESS bias;
  HOTSET_ADDRESS out_;
  uint n;
  uint iterations;
  uint mix_stride;
  uint out_stride;
  float eps;
};

struct MixStreamsPush {
  HOTSET_ADDRESS control;
  HOTSET_ADDRESS x;
  HOTSET_ADDRESS weights;  // float [n][ins][outs]
  HOTSET_ADDRESS added;    // float [n][width]; 0: none
  HOTSET_ADDRESS added_weights;
  HOTSET_ADDRESS out_;
  uint width;
  uint x_stride;
  uint weight_stride;
  uint added_stride;
  uint added_weight_stride;
  uint out_stride;
};

#ifdef __cplusplus
}  // namespace hotset::shaders
#endif
#endif
