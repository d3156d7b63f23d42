// Synthetic models: a GGUF file of any shape and quant mix of some families with random weights, complete enough that any
// reader of such files runs it. For benchmarks and tests; what it writes is gibberish, but finite and not degenerate.
//
// Scale. Matrices have standard deviation 1/sqrt(columns), embeddings 1, the two matrices that add to the
// residual stream are divided by sqrt(layers), and logits have a deviation of about 3.
//
// Router skew. Most routers have no bias, so popularity needs a constant in what they read. The first
// kPositiveChannels channels of every embedding row are made non-negative; the residual stream carries their common
// mean through all layers and its norms keep it. A router row gets b/(channels x mean) on those channels, which
// adds about b to that expert's score for every token. With b = -skew x ln(rank), ranks shuffled anew in each layer,
// the choice follows roughly a Zipf law: popularity ~ 1/rank^skew. At skew 0 nothing of this is done.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/status.h"
#include "tests/tools/random_blocks.h"

namespace hotset::test {

// Multi-head latent attention; kv_rank 0: none.
struct LatentDims {
  uint32_t q_rank = 0;  // 0: queries are projected directly
  uint32_t kv_rank = 0;
  uint32_t rope_dim = 0;  // of head_dim
  uint32_t value_dim = 0;
};

// Gated delta nets in all layers but each fourth; key_heads 0: none.
struct DeltaDims {
  uint32_t key_heads = 0;
  uint32_t value_heads = 0;
  uint32_t state_dim = 0;
};

struct ModelShape {
  std::string name = "tiny";
  std::string architecture = "qwen3moe";  // one of synthetic_architectures()
  uint32_t layers = 2;
  uint32_t embd = 256;
  uint32_t heads = 8;
  uint32_t kv_heads = 2;
  uint32_t head_dim = 32;
  uint32_t experts = 8;
  uint32_t used = 2;
  uint32_t expert_ff = 256;
  uint32_t vocab = 320;
  uint32_t ctx = 512;
  float rope_base = 10000.0f;
  uint32_t rope_dim = 0;  // 0: head_dim
  uint32_t window = 0;
  uint32_t dense_layers = 0;  // the first ones, without experts
  uint32_t dense_ff = 0;
  uint32_t shared_experts = 0;  // each as wide as an expert
  bool sigmoid_choice = false;  // scores are sigmoids with a bias for choosing, renormalised
  float weights_scale = 1;
  uint32_t groups = 0, groups_used = 0;  // of experts; 0: none
  float yarn_factor = 0;                 // 0: no YaRN
  uint32_t yarn_ctx = 4096;
  LatentDims latent = {};
  DeltaDims delta = {};
  BlockType type = BlockType::kQ4_K;         // attention, dense networks, shared experts
  BlockType expert_type = BlockType::kQ4_K;  // gate and up
  // nullopt: Q6_K where llama.cpp's Q4_K_M mix has it (about half of the layers), Q4_K elsewhere; also for attn_v.
  std::optional<BlockType> down_type = std::nullopt;
  BlockType embd_type = BlockType::kQ4_K;
  BlockType output_type = BlockType::kQ6_K;
  bool tied = false;         // no output matrix: the embedding serves
  double router_skew = 0;    // exponent of the popularity law, 0 = none
  uint64_t seed = 1;
  bool sparse = false;       // experts are holes in the file: zeros that take no room on disk
  uint32_t parts = 1;        // files; above 1 named OUT-00001-of-0000N.gguf
};

// Shapes by name: tiny ones, and published models at their full size (synthetic_shapes.cc). Error: no such name.
Result<ModelShape> preset_shape(const std::string& name);
std::vector<std::string> preset_names();

std::vector<std::string> synthetic_architectures();

struct WrittenModel {
  std::vector<std::string> files;
  uint64_t size_bytes = 0;  // all files
};

// Writes the model over what is there; the bytes depend on the shape alone, not on `threads`. Rows that the blocks of a type do not
// divide take the type that llama.cpp takes then. Errors: a shape that cannot be (rows that no block divides, more used than experts,
// ...), a file that cannot be written.
Result<WrittenModel> write_synthetic_model(const ModelShape& shape, const std::string& path, unsigned threads);

}  // namespace hotset::test
