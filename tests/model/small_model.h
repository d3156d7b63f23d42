// A small qwen3moe model as data, so that a test can change one thing of it and write the file.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "platform/check.h"
#include "runtime/format/half.h"
#include "tests/format/gguf_builder.h"

namespace hotset::test {

struct SmallTensor {
  std::vector<uint64_t> dims;  // innermost first
  uint32_t type = 0;           // 0: F32, 1: F16
};

// The shapes that the metadata and the tensors of SmallModel are made from.
struct SmallShape {
  uint32_t layers = 2;
  uint32_t embd = 32;
  uint32_t vocab = 26;
  uint32_t heads = 4;
  uint32_t kv_heads = 2;
  uint32_t key_length = 16;
  uint32_t value_length = 16;
  uint32_t experts = 4;
  uint32_t used = 2;
  uint32_t ff = 64;
};

// Values in -0.5..0.5 that depend on the tensor's name and the index.
inline std::string small_values(const std::string& name, const SmallTensor& tensor) {
  uint64_t count = 1;
  for (const uint64_t dim : tensor.dims) count *= dim;
  uint32_t state = 1;
  for (const char c : name) state = state * 31 + static_cast<uint8_t>(c);
  std::string bytes;
  bytes.reserve(count * 4);
  for (uint64_t i = 0; i < count; ++i) {
    state = state * 1664525 + 1013904223;
    const float value = static_cast<float>(state >> 8) / 16777216.0f - 0.5f;
    if (tensor.type == 1) append_number(bytes, float_to_half(value));
    else append_number(bytes, value);
  }
  return bytes;
}

struct SmallModel {
  using Add = std::function<void(GgufBuilder&, const std::string& key)>;
  std::map<std::string, Add> metadata;  // by the whole key
  std::map<std::string, SmallTensor> tensors;

  SmallModel() : SmallModel(SmallShape{}) {}
  explicit SmallModel(const SmallShape& s) {
    text("general.architecture", "qwen3moe").text("general.name", "Small");
    u32("block_count", s.layers).u32("embedding_length", s.embd).u32("context_length", 128);
    u32("attention.head_count", s.heads).u32("attention.head_count_kv", s.kv_heads);
    u32("attention.key_length", s.key_length).u32("attention.value_length", s.value_length);
    u32("expert_count", s.experts).u32("expert_used_count", s.used).u32("expert_feed_forward_length", s.ff);
    metadata["qwen3moe.attention.layer_norm_rms_epsilon"] = [](GgufBuilder& b, const std::string& k) { b.f32(k, 1e-6f); };
    tokens(s.vocab);
    tensors["token_embd.weight"] = {{s.embd, s.vocab}};
    tensors["output_norm.weight"] = {{s.embd}};
    tensors["output.weight"] = {{s.embd, s.vocab}};
    for (uint32_t i = 0; i < s.layers; ++i) add_layer("blk." + std::to_string(i) + ".", s);
  }

  SmallModel& u32(const std::string& key, uint32_t value) {
    metadata["qwen3moe." + key] = [value](GgufBuilder& b, const std::string& k) { b.u32(k, value); };
    return *this;
  }
  SmallModel& u32s(const std::string& key, const std::vector<uint32_t>& values) {
    metadata["qwen3moe." + key] = [values](GgufBuilder& b, const std::string& k) { b.numbers(k, values); };
    return *this;
  }
  SmallModel& text(const std::string& key, const std::string& value) {
    metadata[key] = [value](GgufBuilder& b, const std::string& k) { b.text(k, value); };
    return *this;
  }
  // A byte-level vocabulary of single characters, up to 90 of them.
  SmallModel& tokens(uint32_t count) {
    std::vector<std::string> all;
    for (uint32_t i = 0; i < count; ++i) all.push_back(std::string(1, static_cast<char>('!' + i)));
    text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "gpt-2");
    metadata["tokenizer.ggml.tokens"] = [all](GgufBuilder& b, const std::string& k) { b.texts(k, all); };
    return *this;
  }
  // q, k and v of every layer in one tensor.
  SmallModel& join_qkv() {
    for (uint32_t i = 0; tensors.count("blk." + std::to_string(i) + ".attn_q.weight"); ++i) {
      const std::string layer = "blk." + std::to_string(i) + ".";
      uint64_t rows = 0;
      const uint64_t cols = tensors[layer + "attn_q.weight"].dims[0];
      for (const char* part : {"attn_q.weight", "attn_k.weight", "attn_v.weight"}) {
        rows += tensors[layer + part].dims[1];
        tensors.erase(layer + part);
      }
      tensors[layer + "attn_qkv.weight"] = {{cols, rows}};
    }
    return *this;
  }

  std::string write(const TempFolder& folder) const {
    GgufBuilder builder;
    for (const auto& [key, add] : metadata) add(builder, key);
    for (const auto& [name, tensor] : tensors) builder.tensor(name, tensor.dims, tensor.type, small_values(name, tensor));
    return folder.write("model.gguf", builder.bytes());
  }

 private:
  void add_layer(const std::string& layer, const SmallShape& s) {
    tensors[layer + "attn_norm.weight"] = {{s.embd}};
    tensors[layer + "attn_q.weight"] = {{s.embd, s.heads * s.key_length}};
    tensors[layer + "attn_k.weight"] = {{s.embd, s.kv_heads * s.key_length}};
    tensors[layer + "attn_v.weight"] = {{s.embd, s.kv_heads * s.value_length}};
    tensors[layer + "attn_output.weight"] = {{s.heads * s.value_length, s.embd}};
    tensors[layer + "attn_q_norm.weight"] = {{s.key_length}};
    tensors[layer + "attn_k_norm.weight"] = {{s.key_length}};
    tensors[layer + "ffn_norm.weight"] = {{s.embd}};
    tensors[layer + "ffn_gate_inp.weight"] = {{s.embd, s.experts}};
    tensors[layer + "ffn_gate_exps.weight"] = {{s.embd, s.ff, s.experts}};
    tensors[layer + "ffn_up_exps.weight"] = {{s.embd, s.ff, s.experts}};
    tensors[layer + "ffn_down_exps.weight"] = {{s.ff, s.embd, s.experts}};
  }
};

}  // namespace hotset::test
