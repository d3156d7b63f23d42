#include "tests/tools/synthetic_tensors.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/tools/synthetic_vocabulary.h"

namespace hotset::test {
namespace {

constexpr double kLogitDeviation = 3;
constexpr double kBiasDeviation = 0.02;
constexpr uint32_t kDeltaPeriod = 4, kConvolution = 4;

// What tells families of one plan apart. Numbers are the shape's.
struct Traits {
  const char* architecture;
  const char* second_norm = "ffn_norm";
  bool query_norms = false;   // of each head
  bool qkv_biases = false;
  bool all_biases = false;    // of q, k, v, output, router and experts
  bool sinks = false;
  bool gated_query = false;   // queries are twice as wide: each head's gate behind it
  bool shared_gate = false;   // the shared expert has a gate of one row
};

constexpr std::array kTraits = {
    Traits{.architecture = "qwen3moe", .query_norms = true},
    Traits{.architecture = "llama"},
    Traits{.architecture = "gpt-oss", .second_norm = "post_attention_norm", .qkv_biases = true, .all_biases = true, .sinks = true},
    Traits{.architecture = "deepseek2"},
    Traits{.architecture = "qwen2moe", .qkv_biases = true, .shared_gate = true},
    Traits{.architecture = "qwen35moe", .second_norm = "post_attention_norm", .query_norms = true, .gated_query = true, .shared_gate = true},
    Traits{.architecture = "glm4moe", .second_norm = "post_attention_norm", .query_norms = true, .qkv_biases = true},
};

const Traits* find_traits(const std::string& architecture) {
  const auto found = std::find_if(kTraits.begin(), kTraits.end(), [&](const Traits& traits) { return architecture == traits.architecture; });
  return found == kTraits.end() ? nullptr : &*found;
}

// Layers to which llama.cpp's Q4_K_M mix gives more bits.
bool wants_more_bits(uint32_t layer, uint32_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

// llama.cpp's choice for rows that blocks of 256 do not divide.
BlockType type_for_rows(BlockType type, uint64_t columns) {
  if (columns % block_format(type).values == 0 || block_format(type).values != 256) return type;
  switch (type) {
    case BlockType::kQ4_K: return BlockType::kQ5_0;
    case BlockType::kQ5_K: return BlockType::kQ5_1;
    case BlockType::kQ6_K: return BlockType::kQ8_0;
    case BlockType::kTQ1_0:
    case BlockType::kTQ2_0: return BlockType::kQ4_0;
    default: return BlockType::kIQ4_NL;
  }
}

double unit(uint64_t columns) { return 1 / std::sqrt(static_cast<double>(columns)); }

class Plan {
 public:
  Plan(const ModelShape& shape, const Traits& traits) : shape_(shape), traits_(traits), residual_(unit(shape.layers)) {
    const double logits = kLogitDeviation * unit(shape.embd);
    add("token_embd.weight", {shape.embd, shape.vocab}, shape.embd_type, Content::kEmbedding, 1);
    if (!shape.tied) matrix("output", {shape.embd, shape.vocab}, shape.output_type, logits);
    // With random signs a tied embedding does not find the token that was just read in the hidden state.
    add("output_norm.weight", {shape.embd}, BlockType::kF32, shape.tied ? Content::kSignedNorm : Content::kNorm,
        shape.tied ? logits : 1);
    for (uint32_t layer = 0; layer < shape.layers; ++layer) add_layer(layer);
  }
  std::vector<Tensor> take() { return std::move(tensors_); }

 private:
  void add(const std::string& name, std::vector<uint64_t> dims, BlockType type, Content content, double scale) {
    tensors_.push_back({prefix_ + name, std::move(dims), type, content, scale});
  }
  void matrix(const std::string& part, std::vector<uint64_t> dims, BlockType type, double deviation) {
    const BlockType fitting = type_for_rows(type, dims[0]);
    add(part + ".weight", std::move(dims), fitting, Content::kMatrix, deviation);
  }
  void floats(const std::string& name, std::vector<uint64_t> dims, double deviation) {
    add(name, std::move(dims), BlockType::kF32, Content::kMatrix, deviation);
  }
  void norm(const std::string& part, uint64_t width, double mean = 1) { add(part + ".weight", {width}, BlockType::kF32, Content::kNorm, mean); }

  void add_layer(uint32_t layer) {
    prefix_ = "blk." + std::to_string(layer) + ".";
    const bool k_mix = !shape_.down_type && shape_.type == BlockType::kQ4_K;
    mixed_ = wants_more_bits(layer, shape_.layers) ? BlockType::kQ6_K : BlockType::kQ4_K;
    value_type_ = k_mix ? mixed_ : shape_.type;
    norm("attn_norm", shape_.embd);
    if (shape_.latent.kv_rank > 0) add_latent_attention();
    else if (shape_.delta.key_heads > 0 && (layer + 1) % kDeltaPeriod != 0) add_delta_net();
    else add_grouped_attention();
    norm(traits_.second_norm, shape_.embd);
    if (layer < shape_.dense_layers) add_network("", shape_.dense_ff);
    else add_experts();
  }

  void add_grouped_attention() {
    const uint64_t embd = shape_.embd, heads = uint64_t{shape_.heads} * shape_.head_dim, kv = uint64_t{shape_.kv_heads} * shape_.head_dim;
    const uint64_t queries = traits_.gated_query ? 2 * heads : heads;
    matrix("attn_q", {embd, queries}, shape_.type, unit(embd));
    matrix("attn_k", {embd, kv}, shape_.type, unit(embd));
    matrix("attn_v", {embd, kv}, value_type_, unit(embd));
    matrix("attn_output", {heads, embd}, shape_.type, residual_ * unit(heads));
    if (traits_.query_norms) norm("attn_k_norm", shape_.head_dim), norm("attn_q_norm", shape_.head_dim);
    if (traits_.qkv_biases) {
      floats("attn_q.bias", {queries}, kBiasDeviation);
      floats("attn_k.bias", {kv}, kBiasDeviation);
      floats("attn_v.bias", {kv}, kBiasDeviation);
    }
    if (traits_.all_biases) floats("attn_output.bias", {embd}, kBiasDeviation);
    if (traits_.sinks) floats("attn_sinks.weight", {shape_.heads}, 1);
  }

  void add_latent_attention() {
    const LatentDims& dims = shape_.latent;
    const uint64_t embd = shape_.embd, heads = shape_.heads, queries = heads * shape_.head_dim, values = heads * dims.value_dim;
    if (dims.q_rank > 0) {
      matrix("attn_q_a", {embd, dims.q_rank}, shape_.type, unit(embd));
      norm("attn_q_a_norm", dims.q_rank);
      matrix("attn_q_b", {dims.q_rank, queries}, shape_.type, unit(dims.q_rank));
    } else {
      matrix("attn_q", {embd, queries}, shape_.type, unit(embd));
    }
    matrix("attn_kv_a_mqa", {embd, dims.kv_rank + dims.rope_dim}, shape_.type, unit(embd));
    norm("attn_kv_a_norm", dims.kv_rank);
    matrix("attn_k_b", {shape_.head_dim - dims.rope_dim, dims.kv_rank, heads}, shape_.type, unit(dims.kv_rank));
    matrix("attn_v_b", {dims.kv_rank, dims.value_dim, heads}, value_type_, unit(dims.kv_rank));
    matrix("attn_output", {values, embd}, shape_.type, residual_ * unit(values));
  }

  void add_delta_net() {
    const DeltaDims& dims = shape_.delta;
    const uint64_t embd = shape_.embd, keys = uint64_t{dims.key_heads} * dims.state_dim, values = uint64_t{dims.value_heads} * dims.state_dim;
    matrix("attn_qkv", {embd, 2 * keys + values}, shape_.type, unit(embd));
    matrix("attn_gate", {embd, values}, shape_.type, unit(embd));
    floats("ssm_conv1d.weight", {kConvolution, 2 * keys + values}, unit(kConvolution));
    add("ssm_dt.bias", {dims.value_heads}, BlockType::kF32, Content::kNorm, -2);  // softplus: a step of 0.13
    add("ssm_a", {dims.value_heads}, BlockType::kF32, Content::kNorm, -1);
    matrix("ssm_beta", {embd, dims.value_heads}, shape_.type, unit(embd));
    matrix("ssm_alpha", {embd, dims.value_heads}, shape_.type, unit(embd));
    norm("ssm_norm", dims.state_dim);
    matrix("ssm_out", {values, embd}, shape_.type, residual_ * unit(values));
  }

  // A gated network for every token.
  void add_network(const std::string& suffix, uint64_t ff) {
    const uint64_t embd = shape_.embd;
    matrix("ffn_gate" + suffix, {embd, ff}, shape_.type, unit(embd));
    matrix("ffn_down" + suffix, {ff, embd}, value_type_, residual_ * unit(ff));
    matrix("ffn_up" + suffix, {embd, ff}, shape_.type, unit(embd));
  }

  void add_experts() {
    const uint64_t embd = shape_.embd, ff = shape_.expert_ff, experts = shape_.experts;
    add("ffn_gate_inp.weight", {embd, experts}, BlockType::kF32, Content::kRouter, unit(embd));
    if (shape_.sigmoid_choice) floats("exp_probs_b.bias", {experts}, kBiasDeviation);
    matrix("ffn_gate_exps", {embd, ff, experts}, shape_.expert_type, unit(embd));
    matrix("ffn_down_exps", {ff, embd, experts}, shape_.down_type.value_or(mixed_), residual_ * unit(ff));
    matrix("ffn_up_exps", {embd, ff, experts}, shape_.expert_type, unit(embd));
    if (traits_.all_biases) {
      floats("ffn_gate_inp.bias", {experts}, kBiasDeviation);
      floats("ffn_gate_exps.bias", {ff, experts}, kBiasDeviation);
      floats("ffn_down_exps.bias", {embd, experts}, kBiasDeviation);
      floats("ffn_up_exps.bias", {ff, experts}, kBiasDeviation);
    }
    if (shape_.shared_experts == 0) return;
    if (traits_.shared_gate) floats("ffn_gate_inp_shexp.weight", {embd}, unit(embd));
    add_network("_shexp", uint64_t{shape_.shared_experts} * ff);
  }

  const ModelShape& shape_;
  const Traits& traits_;
  const double residual_;  // of what adds to the residual stream
  std::string prefix_;
  BlockType mixed_ = BlockType::kQ4_K, value_type_ = BlockType::kQ4_K;
  std::vector<Tensor> tensors_;
};

// Adds keys of one architecture.
class Keys {
 public:
  Keys(const ModelShape& shape, GgufWriter& writer) : shape_(shape), writer_(writer) {}

  void add_all(const Traits& traits) {
    number("block_count", shape_.layers);
    number("context_length", shape_.ctx);
    number("embedding_length", shape_.embd);
    number("feed_forward_length", shape_.dense_ff > 0 ? shape_.dense_ff : shape_.expert_ff);
    number("vocab_size", shape_.vocab);
    add_attention();
    add_experts(traits);
    if (shape_.delta.key_heads > 0) add_delta();
  }

 private:
  void number(const char* key, uint32_t value) { writer_.add_u32(shape_.architecture + "." + key, value); }
  void real(const char* key, float value) { writer_.add_f32(shape_.architecture + "." + key, value); }

  void add_attention() {
    const LatentDims& latent = shape_.latent;
    const bool is_latent = latent.kv_rank > 0;
    number("attention.head_count", shape_.heads);
    number("attention.head_count_kv", is_latent ? 1 : shape_.kv_heads);
    number("attention.key_length", is_latent ? latent.kv_rank + latent.rope_dim : shape_.head_dim);
    number("attention.value_length", is_latent ? latent.kv_rank : shape_.head_dim);
    real("attention.layer_norm_rms_epsilon", 1e-6f);
    if (shape_.window > 0) number("attention.sliding_window", shape_.window);
    if (is_latent) {
      if (latent.q_rank > 0) number("attention.q_lora_rank", latent.q_rank);
      number("attention.kv_lora_rank", latent.kv_rank);
      number("attention.key_length_mla", shape_.head_dim);
      number("attention.value_length_mla", latent.value_dim);
    }
    number("rope.dimension_count", is_latent ? latent.rope_dim : shape_.rope_dim > 0 ? shape_.rope_dim : shape_.head_dim);
    real("rope.freq_base", shape_.rope_base);
    if (shape_.yarn_factor > 0) {
      writer_.add_string(shape_.architecture + ".rope.scaling.type", "yarn");
      real("rope.scaling.factor", shape_.yarn_factor);
      number("rope.scaling.original_context_length", shape_.yarn_ctx);
      if (is_latent) real("rope.scaling.yarn_log_multiplier", 0.1f);
    }
  }

  void add_experts(const Traits& traits) {
    number("expert_count", shape_.experts);
    number("expert_used_count", shape_.used);
    number("expert_feed_forward_length", shape_.expert_ff);
    if (shape_.dense_layers > 0) number("leading_dense_block_count", shape_.dense_layers);
    if (shape_.shared_experts > 0 && traits.shared_gate) number("expert_shared_feed_forward_length", shape_.shared_experts * shape_.expert_ff);
    else if (shape_.shared_experts > 0) number("expert_shared_count", shape_.shared_experts);
    if (shape_.groups > 0) number("expert_group_count", shape_.groups), number("expert_group_used_count", shape_.groups_used);
    if (!shape_.sigmoid_choice) return;
    number("expert_gating_func", 2);
    writer_.add_bool(shape_.architecture + ".expert_weights_norm", true);
    real("expert_weights_scale", shape_.weights_scale);
  }

  void add_delta() {
    const DeltaDims& dims = shape_.delta;
    number("ssm.conv_kernel", kConvolution);
    number("ssm.state_size", dims.state_dim);
    number("ssm.group_count", dims.key_heads);
    number("ssm.time_step_rank", dims.value_heads);
    number("ssm.inner_size", dims.value_heads * dims.state_dim);
    number("full_attention_interval", kDeltaPeriod);
  }

  const ModelShape& shape_;
  GgufWriter& writer_;
};

}  // namespace

std::vector<std::string> synthetic_architectures() {
  std::vector<std::string> names;
  for (const Traits& traits : kTraits) names.emplace_back(traits.architecture);
  return names;
}

std::vector<Tensor> plan_tensors(const ModelShape& shape) {
  const Traits* traits = find_traits(shape.architecture);
  return traits == nullptr ? std::vector<Tensor>() : Plan(shape, *traits).take();
}

void add_synthetic_metadata(const ModelShape& shape, GgufWriter& writer) {
  writer.add_string("general.architecture", shape.architecture);
  writer.add_string("general.type", "model");
  writer.add_string("general.name", "synthetic " + shape.name);
  writer.add_string("general.description", "random weights, for measurements only");
  writer.add_u32("general.quantization_version", 2);
  writer.add_u32("general.file_type", block_format(shape.expert_type).file_type);
  writer.add_u32("general.alignment", 32);
  Keys(shape, writer).add_all(*find_traits(shape.architecture));
  add_synthetic_vocabulary(shape.vocab, writer);
}

}  // namespace hotset::test
