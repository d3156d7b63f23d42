#include "tests/engine/checkpoint_folder.h"

#include <cmath>
#include <fstream>

#include "platform/check.h"
#include "tests/format/safetensors_builder.h"

namespace hotset::test {
namespace {

using nlohmann::json;

const std::map<std::string, std::string> kNames = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_q.bias", "self_attn.q_proj.bias"},
    {"attn_k.bias", "self_attn.k_proj.bias"},
    {"attn_v.bias", "self_attn.v_proj.bias"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"attn_output.bias", "self_attn.o_proj.bias"},
    {"attn_q_norm.weight", "self_attn.q_norm.weight"},
    {"attn_k_norm.weight", "self_attn.k_norm.weight"},
    {"attn_sinks.weight", "self_attn.sinks"},
    {"attn_q_a.weight", "self_attn.q_a_proj.weight"},
    {"attn_q_a_norm.weight", "self_attn.q_a_layernorm.weight"},
    {"attn_q_b.weight", "self_attn.q_b_proj.weight"},
    {"attn_kv_a_mqa.weight", "self_attn.kv_a_proj_with_mqa.weight"},
    {"attn_kv_a_norm.weight", "self_attn.kv_a_layernorm.weight"},
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"post_attention_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
    {"ffn_down.weight", "mlp.down_proj.weight"},
    {"ffn_gate_inp.weight", "mlp.gate.weight"},
    {"exp_probs_b.bias", "mlp.gate.e_score_correction_bias"},
    {"ffn_gate_exps.weight", "mlp.experts.{E}.gate_proj.weight"},
    {"ffn_up_exps.weight", "mlp.experts.{E}.up_proj.weight"},
    {"ffn_down_exps.weight", "mlp.experts.{E}.down_proj.weight"},
    {"ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight"},
    {"ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight"},
    {"ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight"},
    {"ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight"},
    {"ssm_norm.weight", "linear_attn.norm.weight"},
    {"ssm_out.weight", "linear_attn.out_proj.weight"},
    {"ssm_ba.weight", "linear_attn.in_proj_ba.weight"},
    {"ssm_alpha.weight", "linear_attn.in_proj_a.weight"},
    {"ssm_beta.weight", "linear_attn.in_proj_b.weight"},
    {"ssm_conv1d.weight", "linear_attn.conv1d.weight"},
    {"ssm_dt.bias", "linear_attn.dt_bias"},
    {"ssm_a", "linear_attn.A_log"},
};

const std::map<std::string, std::string> kSettings = {
    {"embedding_length", "hidden_size"},
    {"context_length", "max_position_embeddings"},
    {"feed_forward_length", "intermediate_size"},
    {"attention.head_count", "num_attention_heads"},
    {"attention.head_count_kv", "num_key_value_heads"},
    {"attention.key_length", "head_dim"},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
    {"attention.sliding_window", "sliding_window"},
    {"attention.kv_lora_rank", "kv_lora_rank"},
    {"attention.q_lora_rank", "q_lora_rank"},
    {"attention.value_length_mla", "v_head_dim"},
    {"rope.freq_base", "rope_theta"},
    {"expert_count", "num_experts"},
    {"expert_used_count", "num_experts_per_tok"},
    {"expert_feed_forward_length", "moe_intermediate_size"},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size"},
    {"expert_shared_count", "n_shared_experts"},
    {"expert_group_count", "n_group"},
    {"expert_group_used_count", "topk_group"},
    {"expert_weights_scale", "routed_scaling_factor"},
    {"expert_weights_norm", "norm_topk_prob"},
    {"leading_dense_block_count", "first_k_dense_replace"},
    {"ssm.conv_kernel", "linear_conv_kernel_dim"},
    {"ssm.state_size", "linear_key_head_dim"},
    {"ssm.group_count", "linear_num_key_heads"},
    {"ssm.time_step_rank", "linear_num_value_heads"},
    {"full_attention_interval", "full_attention_interval"},
};

struct Matrix {
  std::vector<uint64_t> shape;  // outermost first
  std::vector<float> values;

  uint64_t cols() const { return shape.back(); }
  uint64_t rows() const { return values.size() / cols(); }
  void take_rows(const Matrix& from, uint64_t first, uint64_t count) {
    values.insert(values.end(), from.values.begin() + static_cast<std::ptrdiff_t>(first * from.cols()),
                  from.values.begin() + static_cast<std::ptrdiff_t>((first + count) * from.cols()));
  }
};

class FolderWriter {
 public:
  FolderWriter(const GgufFile& model, const CheckpointStyle& style) : model_(model), style_(style), arch_(text("general.architecture")) {}

  void write(const std::string& folder) {
    for (const TensorInfo& tensor : model_.tensors()) add(tensor);
    save(folder, "model-00001-of-00002.safetensors", files_[0]);
    save(folder, "model-00002-of-00002.safetensors", files_[1]);
    save_text(folder, "model.safetensors.index.json", json{{"metadata", json::object()}, {"weight_map", map_}}.dump());
    save_text(folder, "config.json", config().dump(1));
    save_text(folder, "tokenizer.json", tokenizer().dump());
    save_text(folder, "tokenizer_config.json", tokenizer_config().dump());
  }

 private:
  std::string text(const std::string& key) const { return std::string(model_.get_string(key).value()); }
  uint32_t count(const std::string& key) const { return model_.get_u32_or(arch_ + "." + key, 0).value(); }
  double real(const std::string& key) const { return static_cast<double>(model_.get_f32_or(arch_ + "." + key, 0).value()); }
  bool has(const std::string& key) const { return model_.find(arch_ + "." + key) != nullptr; }

  static void save_text(const std::string& folder, const std::string& name, const std::string& text) {
    std::ofstream(folder + "/" + name, std::ios::binary) << text;
  }
  void save(const std::string& folder, const std::string& name, const SafetensorsBuilder& file) { save_text(folder, name, file.bytes()); }

  void put(const std::string& name, const std::string& type, const std::vector<uint64_t>& shape, const std::string& bytes) {
    const size_t file = map_.size() % 2;
    files_[file].tensor(name, type, shape, bytes);
    map_[name] = file == 0 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
  }
  void put(const std::string& name, const Matrix& matrix) { put(name, "F32", matrix.shape, bytes_of(matrix.values)); }

  std::vector<std::byte> raw(const TensorInfo& tensor) const {
    std::vector<std::byte> bytes(tensor.size_bytes);
    HOTSET_CHECK(model_.read(tensor, 0, bytes).ok());
    return bytes;
  }
  Matrix matrix(const TensorInfo& tensor) const {
    Matrix m;
    for (uint32_t i = tensor.n_dims; i-- > 0;) m.shape.push_back(tensor.dims[i]);
    m.values.resize(tensor.elements());
    HOTSET_CHECK(dequantize(tensor.type, raw(tensor), m.values).ok());
    return m;
  }
  Matrix matrix(const std::string& name) const {
    const TensorInfo* tensor = model_.find_tensor(name);
    HOTSET_CHECK(tensor != nullptr);
    return matrix(*tensor);
  }

  std::string plain_name(const std::string& part) const {
    const auto own = style_.names.find(part);
    if (own != style_.names.end()) return own->second;
    const auto usual = kNames.find(part);
    return usual == kNames.end() ? part : usual->second;
  }

  void add(const TensorInfo& tensor);
  void add_in_layer(const TensorInfo& tensor, const std::string& layer, const std::string& part);
  bool add_special(const std::string& layer, const std::string& part);
  void add_experts(const Matrix& all, const std::string& layer, const std::string& name);
  void add_gpt_oss(const std::string& layer);
  void put_mxfp4(const std::string& name, const std::vector<const TensorInfo*>& alternating);
  Matrix unpaired(const Matrix& from, uint64_t heads) const;
  Matrix untiled(const Matrix& from, uint64_t first) const;
  void add_latent(const std::string& layer);
  void add_joined(const std::string& layer);
  json config() const;
  void add_rope(json& out) const;
  json tokenizer() const;
  json tokenizer_config() const;

  const GgufFile& model_;
  const CheckpointStyle& style_;
  const std::string arch_;
  SafetensorsBuilder files_[2];
  json map_ = json::object();
};

void FolderWriter::add(const TensorInfo& tensor) {
  if (tensor.name == "token_embd.weight") return put("model.embed_tokens.weight", matrix(tensor));
  if (tensor.name == "output.weight") return put("lm_head.weight", matrix(tensor));
  if (tensor.name == "output_norm.weight") {
    Matrix norm = matrix(tensor);
    for (float& x : norm.values) x -= style_.norms_less_one ? 1 : 0;
    return put("model.norm.weight", norm);
  }
  if (tensor.name == "rope_freqs.weight") return;  // computed, not stored
  HOTSET_CHECK(tensor.name.starts_with("blk."));
  const size_t dot = tensor.name.find('.', 4);
  add_in_layer(tensor, tensor.name.substr(4, dot - 4), tensor.name.substr(dot + 1));
}

// llama keeps the halves of a head, GGUF pairs of neighbours.
Matrix FolderWriter::unpaired(const Matrix& from, uint64_t heads) const {
  Matrix out = {from.shape, std::vector<float>(from.values.size())};
  const uint64_t cols = from.shape.size() == 1 ? 1 : from.cols();
  const uint64_t dim = from.values.size() / cols / heads;
  for (uint64_t h = 0; h < heads; ++h) {
    for (uint64_t i = 0; i < dim; ++i) {
      const uint64_t to = i % 2 * (dim / 2) + i / 2;
      std::copy_n(&from.values[(h * dim + i) * cols], cols, &out.values[(h * dim + to) * cols]);
    }
  }
  return out;
}

// Value heads of one key head side by side again; rows before `first` stay.
Matrix FolderWriter::untiled(const Matrix& from, uint64_t first) const {
  const uint64_t groups = count("ssm.group_count"), heads = count("ssm.time_step_rank"), ratio = heads / groups;
  const uint64_t cols = from.shape.size() == 1 ? 1 : from.cols();
  const uint64_t rows = (from.values.size() / cols - first) / heads;
  Matrix out = from;
  for (uint64_t g = 0; g < groups; ++g) {
    for (uint64_t t = 0; t < ratio; ++t) {
      std::copy_n(&from.values[(first + (t * groups + g) * rows) * cols], rows * cols, &out.values[(first + (g * ratio + t) * rows) * cols]);
    }
  }
  return out;
}

void FolderWriter::add_experts(const Matrix& all, const std::string& layer, const std::string& name) {
  const uint64_t experts = all.shape[0], rows = all.shape[1];
  for (uint64_t e = 0; e < experts; ++e) {
    Matrix one = {{rows, all.cols()}, {}};
    one.take_rows(all, e * rows, rows);
    std::string own = name;
    own.replace(own.find("{E}"), 3, std::to_string(e));
    put(layer + own, one);
  }
}

// [heads][plain + value][latent] out of keys [heads][latent][plain] and values [heads][value][latent].
void FolderWriter::add_latent(const std::string& layer) {
  const std::string number = layer.substr(layer.find("layers.") + 7);
  const Matrix k = matrix("blk." + number + "attn_k_b.weight"), v = matrix("blk." + number + "attn_v_b.weight");
  const uint64_t heads = k.shape[0], latent = k.shape[1], plain = k.shape[2], value = v.shape[1];
  Matrix both = {{heads * (plain + value), latent}, {}};
  for (uint64_t h = 0; h < heads; ++h) {
    for (uint64_t p = 0; p < plain; ++p) {
      for (uint64_t l = 0; l < latent; ++l) both.values.push_back(k.values[(h * latent + l) * plain + p]);
    }
    both.take_rows(v, h * value, value);
  }
  put(layer + "self_attn.kv_b_proj.weight", both);
}

// q, k, v and z of a key head together.
void FolderWriter::add_joined(const std::string& layer) {
  const std::string number = layer.substr(layer.find("layers.") + 7);
  const Matrix qkv = matrix("blk." + number + "attn_qkv.weight"), z = matrix("blk." + number + "attn_gate.weight");
  const uint64_t groups = count("ssm.group_count"), dk = count("ssm.state_size"), wide = count("ssm.inner_size") / groups;
  Matrix all = {{2 * groups * dk + 2 * groups * wide, qkv.cols()}, {}};
  for (uint64_t g = 0; g < groups; ++g) {
    all.take_rows(qkv, g * dk, dk);
    all.take_rows(qkv, groups * dk + g * dk, dk);
    all.take_rows(qkv, 2 * groups * dk + g * wide, wide);
    all.take_rows(z, g * wide, wide);
  }
  put(layer + "linear_attn.in_proj_qkvz.weight", all);
}

// Blocks of experts as gpt-oss ships them: rows of the given tensors in turn, nibbles in order.
void FolderWriter::put_mxfp4(const std::string& name, const std::vector<const TensorInfo*>& alternating) {
  std::vector<std::vector<std::byte>> bytes;
  for (const TensorInfo* tensor : alternating) {
    HOTSET_CHECK(tensor != nullptr && tensor->type == BlockType::kMXFP4);
    bytes.push_back(raw(*tensor));
  }
  const uint64_t groups = alternating[0]->dims[0] / 32, rows = alternating[0]->dims[1], experts = alternating[0]->dims[2];
  std::string blocks, scales;
  for (uint64_t row = 0; row < rows * experts; ++row) {
    for (const auto& part : bytes) {
      for (uint64_t g = 0; g < groups; ++g) {
        const auto* block = reinterpret_cast<const uint8_t*>(&part[(row * groups + g) * 17]);
        scales += static_cast<char>(block[0]);
        const auto nibble = [&](uint32_t i) { return i < 16 ? block[1 + i] & 15 : block[1 + i - 16] >> 4; };
        for (uint32_t i = 0; i < 32; i += 2) blocks += static_cast<char>(nibble(i) | nibble(i + 1) << 4);
      }
    }
  }
  const uint64_t all_rows = rows * alternating.size();
  put(name + "_blocks", "U8", {experts, all_rows, groups, 16}, blocks);
  put(name + "_scales", "U8", {experts, all_rows, groups}, scales);
}

void FolderWriter::add_gpt_oss(const std::string& layer) {
  const std::string begin = "blk." + layer.substr(layer.find("layers.") + 7);
  put_mxfp4(layer + "mlp.experts.gate_up_proj", {model_.find_tensor(begin + "ffn_gate_exps.weight"), model_.find_tensor(begin + "ffn_up_exps.weight")});
  put_mxfp4(layer + "mlp.experts.down_proj", {model_.find_tensor(begin + "ffn_down_exps.weight")});
  const Matrix gate = matrix(begin + "ffn_gate_exps.bias"), up = matrix(begin + "ffn_up_exps.bias");
  Matrix both = {{gate.shape[0], 2 * gate.shape[1]}, {}};
  for (size_t i = 0; i < gate.values.size(); ++i) both.values.insert(both.values.end(), {gate.values[i], up.values[i]});
  put(layer + "mlp.experts.gate_up_proj_bias", both);
  put(layer + "mlp.experts.down_proj_bias", matrix(begin + "ffn_down_exps.bias"));
}

// What several tensors make together; true where the part is dealt with.
bool FolderWriter::add_special(const std::string& layer, const std::string& part) {
  if (part == "attn_k_b.weight") add_latent(layer);
  if (part == "attn_qkv.weight" && arch_ == "qwen3next") add_joined(layer);
  if (part == "ffn_gate_exps.weight" && style_.gpt_oss) add_gpt_oss(layer);
  const bool joined = arch_ == "qwen3next" && (part == "attn_qkv.weight" || part == "attn_gate.weight");
  return part == "attn_k_b.weight" || part == "attn_v_b.weight" || joined || (style_.gpt_oss && part.find("_exps.") != std::string::npos);
}

void FolderWriter::add_in_layer(const TensorInfo& tensor, const std::string& number, const std::string& part) {
  const std::string layer = "model.layers." + number + ".";
  if (add_special(layer, part)) return;
  Matrix m = matrix(tensor);
  if (style_.paired && (part == "attn_q.weight" || part == "attn_q.bias")) m = unpaired(m, count("attention.head_count"));
  if (style_.paired && (part == "attn_k.weight" || part == "attn_k.bias")) m = unpaired(m, count("attention.head_count_kv"));
  if (part == "ssm_a") for (float& x : m.values) x = std::log(-x);
  const bool is_norm = part.ends_with("norm.weight") && part != "ssm_norm.weight";
  if (style_.norms_less_one && is_norm) for (float& x : m.values) x -= 1;
  if (arch_ == "qwen35moe") {
    const uint64_t keys = 2 * uint64_t{count("ssm.group_count")} * count("ssm.state_size");
    if (part == "attn_qkv.weight" || part == "ssm_conv1d.weight") m = untiled(m, keys);
    if (part == "attn_gate.weight" || part == "ssm_beta.weight" || part == "ssm_alpha.weight" || part == "ssm_dt.bias" || part == "ssm_a") m = untiled(m, 0);
    if (part == "ssm_out.weight") {
      Matrix turned = {{m.cols(), m.rows()}, std::vector<float>(m.values.size())};
      for (uint64_t r = 0; r < m.rows(); ++r) for (uint64_t c = 0; c < m.cols(); ++c) turned.values[c * m.rows() + r] = m.values[r * m.cols() + c];
      turned = untiled(turned, 0);
      for (uint64_t r = 0; r < m.rows(); ++r) for (uint64_t c = 0; c < m.cols(); ++c) m.values[r * m.cols() + c] = turned.values[c * m.rows() + r];
    }
  }
  if (part == "ssm_conv1d.weight") m.shape = {m.shape[0], 1, m.shape[1]};
  if (part == "ffn_gate_inp_shexp.weight" || (part == "exp_probs_b.bias" && arch_ == "ernie4_5-moe")) m.shape = {1, m.shape[0]};
  const std::string name = plain_name(part);
  if (name.find("{E}") != std::string::npos) add_experts(m, layer, name);
  else put(layer + name, m);
}

void FolderWriter::add_rope(json& out) const {
  if (has("rope.dimension_count") && !has("attention.key_length_mla")) {
    const double share = static_cast<double>(count("rope.dimension_count")) / static_cast<double>(count("attention.key_length"));
    if (share < 1) out["partial_rotary_factor"] = share;
  }
  if (!has("rope.scaling.type") || text(arch_ + ".rope.scaling.type") != "yarn") return;
  out["rope_scaling"] = {{"type", "yarn"},
                         {"factor", real("rope.scaling.factor")},
                         {"original_max_position_embeddings", count("rope.scaling.original_context_length")}};
  if (has("rope.scaling.yarn_log_multiplier")) {
    out["rope_scaling"]["mscale"] = out["rope_scaling"]["mscale_all_dim"] = real("rope.scaling.yarn_log_multiplier") * 10;
  }
}

json FolderWriter::config() const {
  json out = {{"model_type", style_.model_type}, {"num_hidden_layers", count("block_count") - count("nextn_predict_layers")}, {"vocab_size", count("vocab_size")}};
  for (const auto& [key, usual] : kSettings) {
    const GgufValue* value = model_.find(arch_ + "." + key);
    if (value == nullptr) continue;
    const auto own = style_.settings.find(usual);
    json& setting = out[own == style_.settings.end() ? usual : own->second];
    if (value->type() == GgufType::kBool) setting = value->to_bool().value();
    else if (value->type() == GgufType::kF32) setting = value->to_f64().value();
    else setting = value->to_u64().value();
  }
  if (has("attention.key_length_mla")) {
    out["qk_rope_head_dim"] = count("rope.dimension_count");
    out["qk_nope_head_dim"] = count("attention.key_length_mla") - count("rope.dimension_count");
    out["num_key_value_heads"] = count("attention.head_count");
    out.erase("head_dim");
  }
  if (has("ssm.inner_size")) out["linear_value_head_dim"] = count("ssm.inner_size") / count("ssm.time_step_rank");
  if (has("expert_gating_func")) out["scoring_func"] = count("expert_gating_func") == 1 ? "softmax" : "sigmoid";
  add_rope(out);
  out.update(style_.more);
  return out;
}

json FolderWriter::tokenizer() const {
  const auto tokens = model_.get_strings("tokenizer.ggml.tokens").value();
  const auto types = model_.get_ints("tokenizer.ggml.token_type").value();
  json words = json::object(), added = json::array(), merges = json::array();
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (types[i] == 1) words[std::string(tokens[i])] = i;
    else if (types[i] == 3 || types[i] == 4) added.push_back({{"id", i}, {"content", tokens[i]}, {"special", types[i] == 3}});
  }
  const auto pairs = model_.get_strings("tokenizer.ggml.merges").value();
  for (const std::string_view merge : pairs) merges.push_back(merge);
  HOTSET_CHECK(text("tokenizer.ggml.pre") == "qwen2");
  const char* regex = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const json split = {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
  const json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return {{"model", {{"type", "BPE"}, {"vocab", words}, {"merges", merges}}},
          {"added_tokens", added},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, bytes}}}}};
}

json FolderWriter::tokenizer_config() const {
  const auto tokens = model_.get_strings("tokenizer.ggml.tokens").value();
  const auto named = [&](const char* key) { return std::string(tokens[model_.get_u32(key).value()]); };
  return {{"bos_token", named("tokenizer.ggml.bos_token_id")},
          {"eos_token", {{"content", named("tokenizer.ggml.eos_token_id")}}},
          {"pad_token", named("tokenizer.ggml.padding_token_id")},
          {"add_bos_token", model_.get_bool_or("tokenizer.ggml.add_bos_token", false).value()},
          {"chat_template", text("tokenizer.chat_template")}};
}

}  // namespace

void write_checkpoint(const GgufFile& model, const CheckpointStyle& style, const std::string& folder) { FolderWriter(model, style).write(folder); }

}  // namespace hotset::test
