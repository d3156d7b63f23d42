// ModelSpec: a model as the decoder runs it: its steps, values and states, and the experts that it routes to.
//
// Made by a family (family.h) from a file through a Graph, checked while it is made, immutable after. It points at the TensorInfos
// of the GgufFile it came from, which must outlive it. Any thread may read it.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/compute/ops.h"
#include "runtime/format/model_config.h"
#include "runtime/format/tensor_info.h"
#include "runtime/model/rope.h"
#include "runtime/model/steps.h"

namespace hotset {

// One layer of routed experts: scores = router `router_input`, the choice, then out += the weighted experts of `input`. A layer of
// the expert table. Index: among the layers that have experts.
struct MoeSpec {
  uint32_t model_layer = 0;  // block of the model, for messages
  RouteShape route;
  ExpertShape experts;       // but the record offsets, which the expert table decides
  MatrixSpec router;         // [experts][router_input.width]
  Value router_input;        // a whole value
  Value input;               // a whole value, as wide as experts.embd
  Value out;                 // likewise; experts are added to it
  const TensorInfo* logit_bias = nullptr;     // float [experts], as RouteInputs
  const TensorInfo* choice_bias = nullptr;
  const TensorInfo* expert_scales = nullptr;
  const TensorInfo* token_experts = nullptr;  // int32 [vocab][used]
  // Stacked tensors [experts][...]: the pieces of a record in order. experts.*_piece says which is what.
  std::vector<const TensorInfo*> pieces;
};

// Experts that the layer holds: the router may choose for groups of them.
inline uint32_t held_experts(const MoeSpec& moe) { return moe.route.experts / moe.route.id_divisor; }

struct ModelSpec {
  ModelConfig config;
  uint32_t embd = 0;
  uint32_t vocab = 0;
  std::vector<ValueSpec> values;  // by id
  std::vector<StateSpec> states;
  std::vector<RopeSpec> ropes;
  std::vector<PositionScale> position_scales;
  std::vector<std::vector<float>> constants;  // vectors that follow from the metadata
  std::vector<MoeSpec> moes;
  std::vector<Step> steps;   // of all tokens, from their embedding on
  std::vector<Step> head;    // of the tokens whose logits are wanted: from head_input to logits
  Value head_input;          // rows of it are what `head` reads
  Value hidden;              // what the output matrix makes logits of: the last normed state
  size_t output_step = 0;    // of `head`: the product that does it
  Value logits;              // [vocab]
  std::vector<const TensorInfo*> tensors;  // all but the experts' pieces, each once, in the order of use
  bool recurrent = false;    // has fixed states, so that a timeline cannot be cut short without feeding it anew
};

// The most rows that a step cuts a token's values into.
inline uint32_t largest_fold(const ModelSpec& spec) {
  uint32_t most = 1;
  for (const Step& step : spec.steps) {
    if (const auto* map = std::get_if<MapStep>(&step)) most = map->fold > most ? map->fold : most;
  }
  return most;
}

// The largest top-k of its layers; 0 without experts.
inline uint32_t largest_top_k(const ModelSpec& spec) {
  uint32_t most = 0;
  for (const MoeSpec& moe : spec.moes) most = moe.route.used > most ? moe.route.used : most;
  return most;
}

}  // namespace hotset
