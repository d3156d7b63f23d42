// The hyper-parameters of a model as plain data, read from GGUF metadata and checked.
//
// Keys carry the architecture as prefix ("qwen3moe.block_count") and mean the same in every architecture, so a new family
// needs code here only for keys that no family had before. Whether an architecture can be run is decided by runtime/model: an
// unknown one parses as long as it has the common keys. Plain values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "platform/status.h"
#include "runtime/format/gguf.h"

namespace hotset {

struct ModelConfig {
  std::string architecture;  // general.architecture
  std::string name;          // general.name; may be empty

  uint32_t layers = 0;          // block_count
  uint32_t embedding = 0;       // embedding_length: width of the residual stream
  uint32_t context_length = 0;  // what the model was trained for
  uint32_t vocab_size = 0;      // tokenizer.ggml.tokens, else vocab_size

  // Attention. Where the file gives one number a layer, the scalars hold the largest; some of those may be 0 (a layer
  // without attention).
  uint32_t heads = 0;
  uint32_t kv_heads = 0;                  // divides heads, layer by layer
  std::vector<uint32_t> layer_heads;      // [layers]
  std::vector<uint32_t> layer_kv_heads;   // [layers]
  uint32_t key_length = 0;                // of one head; embedding / heads when the file does not say
  uint32_t value_length = 0;              // likewise
  uint32_t sliding_window = 0;            // 0: none

  // Norms. layer_norm_rms_epsilon, else layer_norm_epsilon of the architectures with plain layer norm.
  float norm_epsilon = 0;
  bool rms_norm = true;

  // Rotary embedding. Positions are to be divided by rope_position_scale (linear scaling; 1 without); factors of
  // single dimensions are tensors.
  float rope_base = 10000;
  uint32_t rope_dimensions = 0;  // even, at most key_length; key_length when the file does not say
  float rope_position_scale = 1;
  bool rope_yarn = false;  // rope_position_scale is that of YaRN (rope.scaling.type)

  // Feed-forward. Without experts (a dense model) the expert fields are 0.
  uint32_t feed_forward = 0;                  // of a dense layer; 0 when the file does not say; the largest of a per-layer list
  std::vector<uint32_t> layer_feed_forward;   // [layers]
  uint32_t leading_dense_layers = 0;          // the first layers have a dense FFN in place of experts
  uint32_t experts = 0;
  uint32_t experts_used = 0;                  // top-k: 1 <= experts_used <= experts
  uint32_t expert_feed_forward = 0;           // feed_forward when the file does not say
  uint32_t shared_experts = 0;
  uint32_t shared_expert_feed_forward = 0;    // 0 when the file does not say
  std::optional<bool> expert_weights_norm;    // the family's habit when the file does not say
  std::optional<float> expert_weights_scale;  // likewise
  uint32_t expert_gating_function = 0;        // 1 softmax, 2 sigmoid, ...; 0: the family's habit

  bool is_moe() const { return experts != 0; }
};

// Errors, each naming the key: missing (kNotFound); of a wrong type, zero, not finite, absurdly large or contradicting
// another (kCorrupt); rope scaling that is none of none, linear, yarn and longrope (kUnsupported).
Result<ModelConfig> read_model_config(const GgufFile& file);

}  // namespace hotset
