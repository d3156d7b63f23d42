// Stages of OpsCpu: residual streams and the compression of runs of positions.
#pragma once

#include "runtime/compute/ops.h"

namespace hotset::cpu {

struct StageContext;

struct CompressStage {  // item: kChannels channels
  static constexpr uint32_t kChannels = 64;
  CompressShape shape;
  Rows values;
  Rows scores;
  const float* bias;
  float* state;
  Rows out;
  uint32_t n;

  uint32_t items(const StageContext&) const { return (shape.width + kChannels - 1) / kChannels; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  float* kept(uint32_t which, uint32_t position) const;
  const float* input(uint32_t which, uint32_t position, const StageContext& context) const;
  bool scored() const { return scores.address != 0; }
  void weigh(float* to, uint32_t end, uint32_t channel, uint32_t count, const StageContext& context) const;
  void average(float* to, uint32_t end, uint32_t channel, uint32_t count, const StageContext& context) const;
  void run_token(uint32_t token, uint32_t channel, uint32_t count, const StageContext& context) const;
  void keep(uint32_t col, uint32_t count, const StageContext& context) const;
};

struct StreamWeightsStage {  // item: a token
  StreamShape shape;
  Rows mixes;
  const float* scale;
  const float* bias;
  Rows out;
  uint32_t n;

  uint32_t items(const StageContext&) const { return n; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  void run_token(uint32_t token) const;
  void keep_weights(float* keep) const;
};

struct MixStreamsStage {  // item: a token
  MixShape shape;
  Rows x;
  Rows weights;
  Rows added;
  Rows added_weights;
  Rows out;
  uint32_t n;

  uint32_t items(const StageContext&) const { return n; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  void run_token(uint32_t token, const StageContext& context) const;
};

}  // namespace hotset::cpu
