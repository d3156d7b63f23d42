// Stages (stages.h) of recurrences over tokens. All tokens of what an item owns are done by the item, one after the other: how many
// a call brings changes no result. An item also owns its part of the state.
#pragma once

#include <cstdint>

#include "runtime/compute/cpu/recurrent_kernels.h"
#include "runtime/compute/ops.h"

namespace hotset::cpu {

struct StageContext;

struct ConvStage {  // item: kChannels channels
  static constexpr uint32_t kChannels = 256;  // a kilobyte of each row, as rows lie in pages far apart
  ConvShape shape;
  TokenRows x;
  const float* weight;
  const float* bias;  // nullptr: none
  float* state;
  float* out;
  uint64_t out_stride;
  uint32_t n;

  uint64_t own_bytes() const { return uint64_t{shape.kernel} * kChannels * sizeof(float); }
  uint32_t items(const StageContext&) const { return (shape.channels + kChannels - 1) / kChannels; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  const float* input_at(int64_t token, uint32_t channel) const;
  void run_channels(uint32_t channel, uint32_t count, const StageContext& context) const;
  void keep_last(uint32_t channel, uint32_t count) const;
};

struct LinearAttentionStage {  // item: kStateColumns columns of a head
  LinearAttentionShape shape;
  TokenRows q;
  TokenRows k;
  TokenRows v;
  TokenRows decay;
  TokenRows beta;
  float* state;
  float* out;
  uint64_t out_stride;
  uint32_t n;

  uint64_t own_bytes() const {
    return (uint64_t{shape.key_dim} * kStateColumns + 2 * factor_floats(shape.key_dim)) * sizeof(float);
  }
  uint32_t runs_per_head() const { return (shape.value_dim + kStateColumns - 1) / kStateColumns; }
  uint32_t items(const StageContext&) const { return shape.heads * runs_per_head(); }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;

 private:
  void run_columns(uint32_t head, uint32_t column, const StageContext& context) const;
};

struct SelectiveScanStage {  // item: kChannels channels
  static constexpr uint32_t kChannels = 16;
  SelectiveScanShape shape;
  TokenRows x;
  TokenRows dt;
  TokenRows b;
  TokenRows c;
  const float* a;
  const float* d;
  float* state;
  float* out;
  uint64_t out_stride;
  uint32_t n;

  uint32_t items(const StageContext&) const { return (shape.channels + kChannels - 1) / kChannels; }
  void run(uint32_t first, uint32_t end, const StageContext& context) const;
};

}  // namespace hotset::cpu
