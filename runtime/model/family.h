// Families: how the tensors of an architecture become a ModelSpec. One small file each; see families() in family.cc.
#pragma once

#include <span>
#include <string_view>

#include "platform/status.h"
#include "runtime/format/gguf.h"
#include "runtime/model/families/plain.h"
#include "runtime/model/graph.h"

namespace hotset {

struct Family {
  std::string_view architecture;  // general.architecture of its files
  PlainStyle style = {};          // of a family of the plain form
  // Of others: writes the model down. Errors are kept by the graph: a tensor that is missing or has another shape than the metadata
  // says, values that cannot be.
  void (*describe)(Graph& graph) = nullptr;
};

// Every family that this build can run.
std::span<const Family> families();

// The spec of a file by its architecture. Error also: an architecture that no family takes, with the list of those known; what the
// kernels cannot do, naming what is out of range.
Result<ModelSpec> describe_model(const GgufFile& file, const DescribeOptions& options = {});

}  // namespace hotset
