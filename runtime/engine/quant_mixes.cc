#include "runtime/engine/quant_mixes.h"

#include <string>

#include "runtime/engine/near_names.h"

namespace hotset {
namespace {

// Bits of the block types are exact (block bytes * 8 / weights). The _M mixes keep half of the down projections in Q6_K. Files
// below 4.5 bits keep what is not an expert near 4.5, as it is small and asked of every token.
constexpr QuantMix kMixes[] = {
    {"BF16", 16, 16, false},
    {"F16", 16, 16, false},
    {"Q8_0", 8.5, 8.5},
    {"Q6_K", 6.5625, 6.5625},
    {"Q5_K_M", 5.68, 5.68},
    {"Q5_K", 5.5, 5.5, false},
    {"Q4_K_M", 4.84, 4.84},
    {"Q4_K", 4.5, 4.5, false},
    {"Q4_0", 4.5, 4.5, false},
    {"MXFP4", 4.25, 8.5, false},
    {"IQ4_XS", 4.25, 4.25},
    {"Q3_K", 3.4375, 4.5},
    {"IQ3_XXS", 3.0625, 4.5},
    {"Q2_K", 2.625, 4.5},
    {"IQ2_XXS", 2.0625, 4.5},
};

const QuantMix& mix_called(std::string_view name) {
  for (const QuantMix& mix : kMixes) {
    if (mix.name == name) return mix;
  }
  return kMixes[0];
}

}  // namespace

std::span<const QuantMix> quant_mixes() { return kMixes; }

Result<const QuantMix*> find_quant_mix(std::string_view name) {
  std::string all;
  for (const QuantMix& mix : kMixes) {
    if (plain_name(mix.name) == plain_name(name)) return &mix;
    all += (all.empty() ? "" : ", ") + std::string(mix.name);
  }
  return error(Code::kNotFound, "'%.32s' is not a quantisation that can be planned with; these are: %s", std::string(name).c_str(), all.c_str());
}

const QuantMix& largest_useful_mix(std::string_view native) {
  if (native == "MXFP4") return mix_called("MXFP4");
  if (native == "INT4") return mix_called("Q4_0");
  return mix_called("Q8_0");  // of 8 bits and more: rounding to Q8_0 is within the noise of any measure
}

}  // namespace hotset
