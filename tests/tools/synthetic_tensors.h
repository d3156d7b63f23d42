// What a synthetic model is made of: its tensors in file order, and its metadata. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "tests/tools/gguf_writer.h"
#include "tests/tools/synthetic_model.h"

namespace hotset::test {

enum class Content { kMatrix, kNorm, kSignedNorm, kEmbedding, kRouter };

struct Tensor {
  std::string name;
  std::vector<uint64_t> dims;  // innermost first
  BlockType type;
  Content content;
  double scale;  // standard deviation of a matrix, mean of a norm
  uint64_t row_bytes() const { return dims[0] / block_format(type).values * block_format(type).size_bytes; }
  uint64_t rows() const { return std::accumulate(dims.begin() + 1, dims.end(), uint64_t{1}, std::multiplies<>()); }
  uint64_t size_bytes() const { return row_bytes() * rows(); }
};

// Empty for an architecture that synthetic_architectures() lacks.
std::vector<Tensor> plan_tensors(const ModelShape& shape);

void add_synthetic_metadata(const ModelShape& shape, GgufWriter& writer);

}  // namespace hotset::test
