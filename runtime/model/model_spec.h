// ModelSpec: a model as the decoder runs it: which tensor plays which part, and the shapes.
//
// Made by a family (family.h) from a file, checked while it is made, immutable after. It points at the TensorInfos of the
// GgufFile it came from, which must outlive it. Any thread may read it.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/compute/ops.h"
#include "runtime/format/model_config.h"
#include "runtime/format/tensor_info.h"

namespace hotset {

// Rows of a weight matrix; `rows` of them from `first_row` on (joined tensors hold several matrices).
struct MatrixSpec {
  const TensorInfo* tensor = nullptr;
  uint32_t first_row = 0;
  uint32_t rows = 0;
  uint32_t cols = 0;
};

// Rotation angles: position * base^(-2i/dim) / linear_factor for the pair i.
struct RopeSpec {
  uint32_t dim = 0;
  float base = 10000;
  float linear_factor = 1;
};

struct AttentionSpec {
  AttentionShape shape;  // but context_tokens and kv, which the session decides
  MatrixSpec q;          // [heads*head_dim][embd]
  MatrixSpec k;          // [kv_heads*head_dim][embd]
  MatrixSpec v;          // [kv_heads*value_dim][embd]
  MatrixSpec output;     // [embd][heads*value_dim]
  const TensorInfo* q_norm = nullptr;  // float [head_dim]; nullptr: none
  const TensorInfo* k_norm = nullptr;
};

struct MoeSpec {
  RouteShape route;
  ExpertShape experts;  // but the record offsets, which the expert table decides
  MatrixSpec router;    // [experts][embd]
  const TensorInfo* gate = nullptr;  // [experts][ff][embd]
  const TensorInfo* up = nullptr;
  const TensorInfo* down = nullptr;  // [experts][embd][ff]
};

struct LayerSpec {
  const TensorInfo* attention_norm = nullptr;  // float [embd]
  AttentionSpec attention;
  const TensorInfo* ffn_norm = nullptr;
  MoeSpec moe;
};

struct ModelSpec {
  ModelConfig config;
  uint32_t embd = 0;
  uint32_t vocab = 0;
  float norm_eps = 0;
  RopeSpec rope;
  MatrixSpec embedding;  // [vocab][embd]
  std::vector<LayerSpec> layers;
  const TensorInfo* output_norm = nullptr;
  MatrixSpec output;  // [vocab][embd]; the embedding itself where the file ties them
};

}  // namespace hotset
