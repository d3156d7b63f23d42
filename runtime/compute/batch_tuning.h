// How the batch kernels and attention are cut up for a device. Pure functions; any thread.
#pragma once

#include <cstdint>

#include "platform/vulkan/device.h"

namespace hotset {

struct BatchTuning {
  // Attention. A column is one head of one token; the columns of a workgroup share the keys and values that it loads.
  bool shuffle_queries = true;       // q reaches the lanes by shuffles instead of uniform loads
  uint32_t attention_columns = 8;    // at most
  uint32_t decode_workgroups = 4;    // decode splits the context until there are about so many

  // Products. shared_tiles: weights and activations go through shared memory (GPUs), else a lane owns whole rows (CPUs,
  // where shared memory and barriers are slow). Only with lanes: a lane computes `lane_rows` rows for `tile_tokens` tokens.
  bool shared_tiles = false;
  uint32_t lane_rows = 2;
  uint32_t tile_tokens = 16;
  uint32_t cached_tokens = 64;  // whose activations stay in a core's cache while rows of weights go by
};

BatchTuning batch_tuning(const DeviceLimits& limits);

}  // namespace hotset
