// Layers: the parts of a transformer layer as operations on a Workspace. Both passes, decode and prefill, record these.
//
// One thread. Records into the Ops it was made with, between its begin() and end().
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/compute/ops.h"
#include "runtime/model/model.h"
#include "runtime/model/workspace.h"

namespace hotset {

class Layers {
 public:
  // Operations of a decode token, for what each of them costs whatever its size: of a layer (norm, q k v, cache, attention, output, norm,
  // router, choice, experts up and down), and beside the layers (embedding, norm, logits).
  static constexpr uint32_t kLayerOperations = 10;
  static constexpr uint32_t kTokenOperations = 3;

  Layers(const Model& model, Workspace& workspace, Ops& ops);

  // x = embedding of tokens[0..n).
  void embed(uint32_t n);
  // x += attention(norm(x)); then normed = norm(x).
  void attention(uint32_t layer, uint32_t n, Phase phase);
  // scores = router normed. With `guess`, where there is a next layer, guess_scores = the next layer's router on the same input.
  void router(uint32_t layer, uint32_t n, Phase phase, bool guess = false);
  // Decode: chooses the experts of the one token, writes the route log, resolves the addresses or stops the pass.
  void route_decode(uint32_t layer);
  // Decode: the experts that the next layer is likely to choose, into the guess log of this one.
  void guess_next(uint32_t layer);
  // Decode: hands the input of this layer's experts and their weights to the host where the pass stopped here.
  void export_stopped(uint32_t layer);
  // Decode: x += what the CPU computed.
  void add_cpu_part();
  // Prefill: chooses the experts of n tokens into ids and weights.
  void route_batch(uint32_t layer, uint32_t n);
  // Decode: x += the weighted experts at `addresses`.
  void experts_decode(uint32_t layer);
  // Prefill: parts of `tile_count` tiles from `first_tile` on.
  void experts_batch(uint32_t layer, uint32_t first_tile, uint32_t tile_count);
  // Prefill: x += the weighted parts.
  void combine(uint32_t layer, uint32_t n);
  // logits[0..rows) = output norm(x[first_row..first_row + rows)).
  void head(uint32_t first_row, uint32_t rows, Phase phase);

  // The value of Control.stop that means this layer.
  static uint32_t stop_value(uint32_t layer) { return layer + 1; }
  const ExpertShape& expert_shape(uint32_t layer) const { return expert_shapes_[layer]; }

 private:
  const Model& model_;
  Workspace& ws_;
  Ops& ops_;
  std::vector<AttentionShape> attention_shapes_;  // [layers], with the session's context and KV type
  std::vector<ExpertShape> expert_shapes_;        // [layers], with record offsets
};

}  // namespace hotset
