// Quantisations as people name model files, and the bits that a weight takes in them. Constant data; any thread.
#pragma once

#include <span>
#include <string_view>

#include "platform/status.h"

namespace hotset {

struct QuantMix {
  std::string_view name;
  double expert_bits = 0;  // a weight of a routed expert, scales included
  double dense_bits = 0;   // any other weight, on average
  bool usual = true;       // among those that a search for the best one weighs
};

// From the largest to the smallest.
std::span<const QuantMix> quant_mixes();

// Error (kNotFound): the names there are.
Result<const QuantMix*> find_quant_mix(std::string_view name);

// The largest mix worth taking of weights that were published in `native` ("BF16", "FP8", "INT4", "MXFP4"): more bits
// than that hold nothing more.
const QuantMix& largest_useful_mix(std::string_view native);

}  // namespace hotset
