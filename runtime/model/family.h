// Families: how the tensors of an architecture become a ModelSpec. One small file each; see families() in family.cc.
#pragma once

#include <span>
#include <string_view>

#include "platform/status.h"
#include "runtime/format/gguf.h"
#include "runtime/model/model_spec.h"

namespace hotset {

struct Family {
  std::string_view architecture;  // general.architecture of its files
  // Errors: a tensor that is missing or has another shape than the metadata says, values that cannot be.
  Result<ModelSpec> (*describe)(const GgufFile& file, const ModelConfig& config);
};

// Every family that this build can run.
std::span<const Family> families();

// The spec of a file by its architecture. Error also: an architecture that no family takes, with the list of those known.
Result<ModelSpec> describe_model(const GgufFile& file);

// What the kernels can do with any family: head sizes, widths, experts, top-k. Error (kUnsupported) naming what is out of range.
Status check_kernel_limits(const ModelConfig& config);

Result<ModelSpec> describe_qwen3moe(const GgufFile& file, const ModelConfig& config);

}  // namespace hotset
