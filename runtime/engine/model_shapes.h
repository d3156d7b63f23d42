// Published shapes of models that people run, so that a plan needs no download. Constant data; any thread.
//
// The numbers are those of each model's own config.json. Norms, biases and what is not run for text (vision, next-token heads) are
// left out; they are under 2 % of the parameters.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "platform/status.h"

namespace hotset {

// Layers whose sequence mixer (attention, or what stands for it) is of one kind.
struct MixerShape {
  uint32_t layers = 0;
  uint64_t parameters = 0;           // of one layer
  double kv_elements_per_token = 0;  // kept for each token of context, one layer
  uint32_t window_tokens = 0;        // of context that is kept; 0: all of it
  uint64_t state_elements = 0;       // kept whatever the context (float), one layer
};

struct ModelShape {
  std::string_view name;   // as in --shape
  std::string_view title;  // as people write it
  std::array<std::string_view, 3> aliases;  // other names of the same shape; empty ones are none
  uint32_t embd = 0;
  uint32_t moe_layers = 0;
  uint32_t experts = 0;      // a layer
  uint32_t top_k = 0;
  uint32_t expert_ff = 0;
  uint32_t shared_ff = 0;    // of all shared experts of a layer together
  uint32_t dense_layers = 0; // with a feed-forward network and no experts
  uint32_t dense_ff = 0;
  uint32_t vocab = 0;
  uint32_t context_tokens = 0;
  std::string_view native;   // what its makers publish: "BF16", "FP8", "INT4", "MXFP4"
  std::array<MixerShape, 3> mixers;
  uint32_t expert_embd = 0;      // width that experts read and write; 0: embd
  uint32_t expert_matrices = 3;  // gate, up, down; 2: no gate
  bool tied = false;             // one table is both input embedding and output head
};

std::span<const ModelShape> model_shapes();

// By name, title or alias, letters and digits alone. Error (kNotFound): what else it may have meant.
Result<const ModelShape*> find_model_shape(std::string_view name);

uint64_t expert_parameters(const ModelShape& shape);      // of one
uint64_t embedding_parameters(const ModelShape& shape);   // the input table, of which a token reads one row
uint64_t dense_parameters(const ModelShape& shape);       // all but routed experts; the input table among them
uint64_t total_parameters(const ModelShape& shape);
uint64_t active_parameters(const ModelShape& shape);      // of one token, all of the input table counted
uint32_t layer_count(const ModelShape& shape);

// Elements that the sequence state takes at a context: KV entries (all of them: layers with a window keep what they no longer see), what a
// token at its end reads of them, and fixed states.
double kv_elements(const ModelShape& shape, uint32_t context_tokens);
double kv_read_elements(const ModelShape& shape, uint32_t context_tokens);
uint64_t state_elements(const ModelShape& shape);

}  // namespace hotset
