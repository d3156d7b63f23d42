// Synthetic models: a GGUF file of any qwen3moe shape and quant mix with random weights, complete enough that any
// reader of such files runs it. For benchmarks and tests; what it writes is gibberish, but finite and not degenerate.
//
// Scale. Matrices have standard deviation 1/sqrt(columns), embeddings 1, the two matrices that add to the
// residual stream are divided by sqrt(layers), and logits have a deviation of about 3.
//
// Router skew. qwen3moe routers have no bias, so popularity needs a constant in what they read. The first
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

struct ModelShape {
  std::string name = "tiny";
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
  BlockType type = BlockType::kQ4_K;         // attention
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

// Shapes by name: tiny, storyteller, 2gb, qwen3-30b-a3b, qwen3-235b-a22b, kimi-k2-experts (the experts of Kimi K2, a trillion parameters,
// with small attention; for sparse files). Error: no such name.
Result<ModelShape> preset_shape(const std::string& name);
std::vector<std::string> preset_names();

struct WrittenModel {
  std::vector<std::string> files;
  uint64_t size_bytes = 0;  // all files
};

// Writes the model over what is there; the bytes depend on the shape alone, not on `threads`. Errors: a shape that
// cannot be (rows that blocks do not divide, more used than experts, ...), a file that cannot be written.
Result<WrittenModel> write_synthetic_model(const ModelShape& shape, const std::string& path, unsigned threads);

}  // namespace hotset::test
