// Steps: a decoder as a list of operations on values, plain data.
//
// A family describes its model as steps once; a StepRecorder records them for decode and for prefill. Values are activations,
// float [tokens][width]; states outlive a token. Steps name weights by the TensorInfo of the file they come from.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "runtime/compute/ops.h"
#include "runtime/format/tensor_info.h"

namespace hotset {

// Columns [first, first + width) of the value `id`.
struct Value {
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t id = kNone;
  uint32_t first = 0;
  uint32_t width = 0;

  bool exists() const { return id != kNone; }
  Value columns(uint32_t from, uint32_t count) const { return {id, first + from, count}; }
};

// Rows of a weight matrix; `rows` of them from `first_row` on (joined tensors hold several matrices).
struct MatrixSpec {
  const TensorInfo* tensor = nullptr;
  uint32_t first_row = 0;
  uint32_t rows = 0;
  uint32_t cols = 0;
};

// What stays from token to token. A cache has a row for each position; a fixed state is `width` floats, whatever the context.
enum class StateKind { kCache, kFixed };

struct StateSpec {
  StateKind kind = StateKind::kCache;
  uint32_t width = 0;   // elements of the session's KV type a position, or floats
  uint32_t every = 1;   // of a cache: positions that share a row
};

using StateId = uint32_t;

// A value's row: `width` floats, or as many for each started run of `positions` of the session's context, where that is not 0. Only what
// works on whole values of the second kind takes them; their Value::width is `width`.
struct ValueSpec {
  uint32_t width = 0;
  uint32_t positions = 0;

  uint64_t floats(uint32_t context_tokens) const {
    return positions == 0 ? width : uint64_t{width} * ((uint64_t{context_tokens} + positions - 1) / positions);
  }
};

// An operand of MapStep: a value, a vector of the model or a constant one, or a number of the token's position; nothing when none is set.
struct MapOperand {
  Value value;
  const TensorInfo* vector = nullptr;
  uint32_t vector_first = 0;                  // float of the vector that is element 0
  uint32_t position_scale = Value::kNone;     // index in ModelSpec::position_scales
  uint32_t constant = Value::kNone;           // index in ModelSpec::constants
  uint32_t group = 1;                         // neighbours that read the same float
  uint32_t period = 0;                        // 0: no modulo
};

struct EmbedStep {
  MatrixSpec table;
  Value out;
};

struct NormStep {
  NormShape shape;
  Value x;
  const TensorInfo* weight = nullptr;
  const TensorInfo* bias = nullptr;
  Value out;
};

struct MapStep {
  Glu glu = {.f = Activation::kNone};
  float scale = 1;
  MapOperand a;
  MapOperand b;
  MapOperand c;
  Value out;
  // Rows that a token's values are cut into, each worked on by itself: columns are then those of such a row.
  uint32_t fold = 1;
};

struct ProductSpec {
  MatrixSpec matrix;
  Value out;  // a whole value
};

// Products of one x; the first has `residual` added where there is one.
struct MatmulStep {
  std::vector<ProductSpec> products;
  Value x;  // a whole value
  Value residual;
};

struct HeadsStep {
  HeadsShape shape;
  MatrixSpec matrix;
  Value x;
  Value out;
};

struct RopeStep {
  RopeShape shape;
  Value x;
  uint32_t table = 0;  // index in ModelSpec::ropes
};

// Norm and rotation of heads of q and k, then k and v into their caches, in one operation. q, k, v: whole values.
struct StoreKvStep {
  AttentionShape shape;  // but context_tokens and kv, which the session decides
  Value q;
  Value k;
  Value v;
  const TensorInfo* q_norm = nullptr;  // float [head_dim]; nullptr: none
  const TensorInfo* k_norm = nullptr;
  uint32_t table = 0;
  StateId keys = 0;
  StateId values = 0;
};

struct StoreRowsStep {
  Value x;
  StateId cache = 0;
};

struct AttendStep {
  AttentionShape shape;  // but context_tokens and kv
  Value q;               // a whole value
  StateId keys = 0;
  StateId values = 0;    // may be `keys`: the values are then the first dims of the keys
  StateId beside = 0;    // rows beside the cache, where the shape has them
  const TensorInfo* sinks = nullptr;
  Value mask;            // made by a SelectStep; none: every earlier position is seen
  Value out;             // a whole value
};

// The positions that attention sees (Ops::select_positions).
struct SelectStep {
  SelectShape shape;     // but context_tokens and kv
  Value q;
  Value weights;         // none: heads choose each for themselves
  StateId keys = 0;
  Value mask;            // a mask a head or one, 32 positions a word
  bool spread = false;   // SelectShape::spread_tokens are those of the session
};

struct CompressStep {
  CompressShape shape;
  Value values;
  Value scores;                       // none: a plain mean, without bias
  const TensorInfo* bias = nullptr;
  StateId state = 0;
  Value out;
};

struct StreamWeightsStep {
  StreamShape shape;
  Value mixes;
  const TensorInfo* scale = nullptr;
  const TensorInfo* bias = nullptr;
  Value out;
};

struct MixStreamsStep {
  MixShape shape;
  Value x;
  Value weights;
  uint32_t constant_weights = Value::kNone;  // in their place: index in ModelSpec::constants
  Value added;
  Value added_weights;
  Value out;
};

struct ConvStep {
  ConvShape shape;
  Value x;
  const TensorInfo* weight = nullptr;
  const TensorInfo* bias = nullptr;
  StateId state = 0;
  Value out;
};

struct LinearAttentionStep {
  LinearAttentionShape shape;
  Value q;
  Value k;
  Value v;
  Value decay;
  uint32_t constant_decay = Value::kNone;  // index in ModelSpec::constants
  Value beta;
  StateId state = 0;
  Value out;
};

struct SelectiveScanStep {
  SelectiveScanShape shape;
  Value x;
  Value dt;
  Value b;
  Value c;
  const TensorInfo* a = nullptr;
  const TensorInfo* d = nullptr;
  StateId state = 0;
  Value out;
};

// Routed experts: ModelSpec::moes[moe]. The pass may stop here for experts that are not there.
struct MoeStep {
  uint32_t moe = 0;
};

using Step = std::variant<EmbedStep, NormStep, MapStep, MatmulStep, HeadsStep, RopeStep, StoreKvStep, StoreRowsStep, AttendStep, SelectStep, ConvStep,
                          LinearAttentionStep, SelectiveScanStep, CompressStep, StreamWeightsStep, MixStreamsStep, MoeStep>;

}  // namespace hotset
