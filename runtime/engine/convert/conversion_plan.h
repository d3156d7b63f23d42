// ConversionPlan: the whole of a GGUF before its numbers: what it says and how each tensor is made. A function of a checkpoint's headers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/status.h"
#include "runtime/engine/convert/family_map.h"
#include "runtime/engine/convert/planned_tensor.h"

namespace hotset {

struct ConversionPlan {
  std::string architecture;
  Metadata metadata;
  std::vector<PlannedTensor> tensors;  // in file order
  uint32_t vocab_size = 0;             // rows of the embedding
  uint32_t ignored = 0;                // weights that no run needs: vision, prediction layers, activation scales
};

// `wanted` is the type of the large matrices. Vectors, norms and routers stay F32; embedding and output are Q6_K or better; what has rows that
// are no whole blocks takes the next type that fits. Errors: a model type that is not known; weights that the family does not know, that are
// missing or do not fit the config.
Result<ConversionPlan> plan_conversion(const HfConfig& config, const WeightCatalog& weights, BlockType wanted);

// The type that loses nothing worth having: MXFP4 or Q4_0 where the checkpoint ships 4 bits, else Q8_0.
BlockType natural_type(const WeightCatalog& weights);

}  // namespace hotset
