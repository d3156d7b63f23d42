// StepRecorder: records the steps of a model as operations on a Workspace. Both passes, decode and prefill, use it.
//
// One thread. Records into the Ops it was made with, between its begin() and end(). Layers of experts are numbered as in
// ModelSpec::moes; a stretch is the steps between two of them.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/compute/ops.h"
#include "runtime/model/model.h"
#include "runtime/model/workspace.h"

namespace hotset {

class StepRecorder {
 public:
  StepRecorder(const Model& model, Workspace& workspace, Ops& ops);

  // --- steps
  // Stretch i: the steps before experts i; the last one, those after all experts, without the head.
  uint32_t stretches() const { return static_cast<uint32_t>(ends_.size()); }
  void stretch(uint32_t index, uint32_t n, Phase phase);
  // logits[0..rows) = the head of the rows first_row.. of its input.
  void head(uint32_t first_row, uint32_t rows, Phase phase);
  // The head in two: ModelSpec::hidden of all rows of its input, then logits[0] of one row of that.
  void hidden(uint32_t rows, Phase phase);
  void output(uint32_t row, Phase phase);

  // --- experts
  // scores = router of the layer. With `guess`, where there is a next layer, guess_scores = the next layer's router on the same input.
  void router(uint32_t moe, uint32_t n, Phase phase, bool guess = false);
  // Decode: chooses the experts of the one token, writes the route log, resolves the addresses or stops the pass.
  void route_decode(uint32_t moe);
  // Decode: the experts that the next layer is likely to choose, into the guess log of this one.
  void guess_next(uint32_t moe);
  // Decode: hands the input of this layer's experts and their weights to the host where the pass stopped here.
  void export_stopped(uint32_t moe);
  // Decode: the layer's output += what the CPU computed.
  void add_cpu_part(uint32_t moe);
  // Prefill: chooses the experts of n tokens into ids and weights.
  void route_batch(uint32_t moe, uint32_t n);
  // Decode: output += the weighted experts at `addresses`.
  void experts_decode(uint32_t moe);
  // Prefill: parts of `tile_count` tiles from `first_tile` on.
  void experts_batch(uint32_t moe, uint32_t first_tile, uint32_t tile_count);
  // Prefill: output += the weighted parts.
  void combine(uint32_t moe, uint32_t n);

  // The value of Control.stop that means this layer.
  static uint32_t stop_value(uint32_t moe) { return moe + 1; }
  const ExpertShape& expert_shape(uint32_t moe) const { return expert_shapes_[moe]; }

 private:
  struct Record;
  void record(const Step& step, uint32_t n, Phase phase);
  // The steps first..end-1 of the head, whose first value is read from a row on.
  void head_steps(size_t first, size_t end, const Value& from, uint32_t first_row, uint32_t rows, Phase phase);
  bool can_guess(uint32_t moe) const;
  RouteInputs route_inputs(const MoeSpec& moe) const;
  Tensor tensor(const Value& value) const;
  Rows rows(const Value& value, uint32_t fold = 1) const;
  Operand operand(const MapOperand& operand, uint32_t fold) const;
  uint32_t rows_of(uint32_t every) const;  // of a cache whose rows stand for so many positions
  AttentionShape with_session(AttentionShape shape) const;

  const Model& model_;
  Workspace& ws_;
  Ops& ops_;
  std::vector<size_t> ends_;                // [stretches]: index of the MoeStep, or of the end
  std::vector<ExpertShape> expert_shapes_;  // [moes], with record offsets
  uint32_t first_value_ = Value::kNone;     // while the head is recorded: what it begins with,
  uint32_t first_row_ = 0;                  // and from which row on
};

}  // namespace hotset
