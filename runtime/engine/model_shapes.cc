#include "runtime/engine/model_shapes.h"

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/engine/near_names.h"

namespace hotset {
namespace {

struct Heads {
  uint32_t q;
  uint32_t kv;
  uint32_t dim;
};

// Grouped-query attention: q, k, v and output projections. `window`: sliding window, 0 without.
constexpr MixerShape grouped(uint32_t layers, uint64_t embd, Heads heads, uint32_t window = 0) {
  const uint64_t q = uint64_t{heads.q} * heads.dim, kv = uint64_t{heads.kv} * heads.dim;
  return {layers, embd * (2 * q + 2 * kv), static_cast<double>(2 * kv), window, 0};
}

// The same with an output gate as wide as q.
constexpr MixerShape gated(uint32_t layers, uint64_t embd, Heads heads) {
  MixerShape mixer = grouped(layers, embd, heads);
  mixer.parameters += embd * heads.q * heads.dim;
  return mixer;
}

// Heads whose keys and values differ in width.
constexpr MixerShape uneven(uint32_t layers, uint64_t embd, Heads heads, uint64_t value_dim, uint32_t window = 0) {
  const uint64_t parameters = embd * (heads.q + heads.kv) * (heads.dim + value_dim);
  return {layers, parameters, static_cast<double>(heads.kv * (heads.dim + value_dim)), window, 0};
}

// Attention whose values are its keys.
constexpr MixerShape keys_as_values(uint32_t layers, uint64_t embd, Heads heads) {
  return {layers, embd * heads.dim * (2ull * heads.q + heads.kv), static_cast<double>(heads.kv * heads.dim), 0, 0};
}

struct Latent {
  uint32_t q_rank;  // 0: q is projected directly
  uint32_t kv_rank;
  uint32_t nope_dim;
  uint32_t rope_dim;
  uint32_t value_dim;
};

// Multi-head latent attention: what is kept is the compressed KV and the rotary key.
constexpr MixerShape latent(uint32_t layers, uint64_t embd, uint64_t heads, Latent dims) {
  const uint64_t q_width = heads * (dims.nope_dim + dims.rope_dim);
  const uint64_t q = dims.q_rank > 0 ? dims.q_rank * (embd + q_width) : embd * q_width;
  const uint64_t kv = embd * (dims.kv_rank + dims.rope_dim) + dims.kv_rank * heads * (dims.nope_dim + dims.value_dim);
  return {layers, q + kv + heads * dims.value_dim * embd, static_cast<double>(dims.kv_rank + dims.rope_dim), 0, 0};
}

// The same with an indexer that picks which positions to attend to; it keeps a key of its own a token.
constexpr MixerShape indexed(uint32_t layers, uint64_t embd, uint64_t heads, Latent dims, uint64_t index_heads, uint64_t index_dim) {
  MixerShape mixer = latent(layers, embd, heads, dims);
  mixer.parameters += dims.q_rank * index_heads * index_dim + embd * index_dim + embd * index_heads;
  mixer.kv_elements_per_token += static_cast<double>(index_dim);
  return mixer;
}

// One key for all heads, its latents kept once in `ratio` tokens, output projected through groups of low rank.
constexpr MixerShape compressed(uint32_t layers, uint64_t embd, uint64_t heads, uint64_t head_dim, uint64_t q_rank, uint64_t groups, uint32_t ratio) {
  constexpr uint64_t kOutputRank = 1024;
  const uint64_t width = heads * head_dim;
  const uint64_t parameters = embd * q_rank + q_rank * width + embd * head_dim + kOutputRank * width + groups * kOutputRank * embd;
  return {layers, parameters, static_cast<double>(head_dim) / ratio, 0, 0};
}

constexpr uint64_t kConvolution = 4;  // taps of the short convolutions below

// Gated delta net: key heads, value heads, both of `dim`.
constexpr MixerShape delta_net(uint32_t layers, uint64_t embd, uint64_t key_heads, uint64_t value_heads, uint64_t dim) {
  const uint64_t keys = key_heads * dim, values = value_heads * dim;
  const uint64_t parameters = embd * (2 * keys + 3 * values + 2 * value_heads) + kConvolution * (2 * keys + values);
  return {layers, parameters, 0, 0, value_heads * dim * dim + (kConvolution - 1) * (2 * keys + values)};
}

// Kimi delta attention: decay and gate of rank `dim`.
constexpr MixerShape kimi_delta(uint32_t layers, uint64_t embd, uint64_t heads, uint64_t dim) {
  const uint64_t width = heads * dim;
  const uint64_t parameters = 4 * embd * width + 3 * kConvolution * width + 2 * dim * (embd + width) + embd * heads;
  return {layers, parameters, 0, 0, heads * dim * dim + (kConvolution - 1) * 3 * width};
}

// Mamba-2.
constexpr MixerShape mamba(uint32_t layers, uint64_t embd, uint64_t heads, uint64_t head_dim, uint64_t groups, uint64_t state) {
  const uint64_t inner = heads * head_dim, mixed = inner + 2 * groups * state;
  const uint64_t parameters = embd * (inner + mixed + heads) + kConvolution * mixed + inner * embd;
  return {layers, parameters, 0, 0, heads * head_dim * state + (kConvolution - 1) * mixed};
}

constexpr MixerShape plus(MixerShape mixer, uint64_t parameters) {
  mixer.parameters += parameters;
  return mixer;
}

constexpr MixerShape windowed(MixerShape mixer, uint32_t window_tokens) {
  mixer.window_tokens = window_tokens;
  return mixer;
}

constexpr Latent kDeepSeek = {1536, 512, 128, 64, 128};
constexpr Latent kLite = {0, 512, 128, 64, 128};
constexpr Latent kGlm = {2048, 512, 192, 64, 256};

// name, title, aliases, embd, MoE layers, experts, top-k, expert ff, shared ff, dense layers, dense ff, vocab, context, native, mixers
const std::vector<ModelShape>& table() {
  static const std::vector<ModelShape> shapes = {
      {"mixtral-8x7b", "Mixtral 8x7B", {}, 4096, 32, 8, 2, 14336, 0, 0, 0, 32000, 32768, "BF16", {grouped(32, 4096, {32, 8, 128})}},
      {"mixtral-8x22b", "Mixtral 8x22B", {}, 6144, 56, 8, 2, 16384, 0, 0, 0, 32000, 65536, "BF16", {grouped(56, 6144, {48, 8, 128})}},
      {"deepseek-v2-lite", "DeepSeek V2-Lite", {"DeepSeek-Coder-V2-Lite"}, 2048, 26, 64, 6, 1408, 2816, 1, 10944, 102400, 163840, "BF16",
       {latent(27, 2048, 16, kLite)}},
      {"deepseek-v2", "DeepSeek V2", {"DeepSeek-V2.5", "DeepSeek-Coder-V2"}, 5120, 59, 160, 6, 1536, 3072, 1, 12288, 102400, 163840, "BF16",
       {latent(60, 5120, 128, kDeepSeek)}},
      {"deepseek-v3", "DeepSeek V3", {"DeepSeek-R1", "DeepSeek-V3.1", "DeepSeek-V3-0324"}, 7168, 58, 256, 8, 2048, 2048, 3, 18432, 129280, 163840,
       "FP8", {latent(61, 7168, 128, kDeepSeek)}},
      {"deepseek-v3.2", "DeepSeek V3.2", {"DeepSeek-V3.2-Exp"}, 7168, 58, 256, 8, 2048, 2048, 3, 18432, 129280, 163840, "FP8",
       {indexed(61, 7168, 128, kDeepSeek, 64, 128)}},
      {"deepseek-v4-flash", "DeepSeek V4 Flash", {}, 4096, 43, 256, 6, 2048, 2048, 0, 0, 129280, 1048576, "FP8",
       {windowed(compressed(2, 4096, 64, 512, 1024, 8, 1), 128), compressed(21, 4096, 64, 512, 1024, 8, 4),
        compressed(20, 4096, 64, 512, 1024, 8, 128)}},
      {"deepseek-v4-pro", "DeepSeek V4 Pro", {}, 7168, 61, 384, 6, 3072, 3072, 0, 0, 129280, 1048576, "FP8",
       {compressed(30, 7168, 128, 512, 1536, 16, 4), compressed(31, 7168, 128, 512, 1536, 16, 128)}},
      {"kimi-k2", "Kimi K2", {"Kimi-K2-Instruct", "Kimi-K2-Instruct-0905"}, 7168, 60, 384, 8, 2048, 2048, 1, 18432, 163840, 131072, "FP8",
       {latent(61, 7168, 64, kDeepSeek)}},
      {"kimi-k2.6", "Kimi K2.6", {"Kimi-K2.5", "Kimi-K2-Thinking", "Kimi-K2.7-Code"}, 7168, 60, 384, 8, 2048, 2048, 1, 18432, 163840, 262144, "INT4",
       {latent(61, 7168, 64, kDeepSeek)}},
      {"kimi-k3", "Kimi K3", {}, 7168, 92, 896, 16, 3072, 6144, 1, 33792, 163840, 1048576, "MXFP4",
       {plus(latent(24, 7168, 96, kDeepSeek), 7168ull * 96 * 128), plus(kimi_delta(69, 7168, 96, 128), 7168ull * 96 * 128)}, 3584},
      {"kimi-linear-48b-a3b", "Kimi Linear 48B-A3B", {"Kimi-Linear"}, 2304, 26, 256, 8, 1024, 1024, 1, 9216, 163840, 1048576, "BF16",
       {latent(7, 2304, 32, kLite), kimi_delta(20, 2304, 32, 128)}},
      {"qwen3-30b-a3b", "Qwen3 30B-A3B", {"Qwen3-30B-A3B-Instruct-2507", "Qwen3-Coder-30B-A3B", "Qwen3-VL-30B-A3B"}, 2048, 48, 128, 8, 768, 0, 0, 0,
       151936, 40960, "BF16", {grouped(48, 2048, {32, 4, 128})}},
      {"qwen3-235b-a22b", "Qwen3 235B-A22B", {"Qwen3-235B-A22B-Instruct-2507", "Qwen3-VL-235B-A22B"}, 4096, 94, 128, 8, 1536, 0, 0, 0, 151936, 40960,
       "BF16", {grouped(94, 4096, {64, 4, 128})}},
      {"qwen3-coder-480b-a35b", "Qwen3 Coder 480B-A35B", {}, 6144, 62, 160, 8, 2560, 0, 0, 0, 151936, 262144, "BF16",
       {grouped(62, 6144, {96, 8, 128})}},
      {"qwen3-next-80b-a3b", "Qwen3-Next 80B-A3B", {"Qwen3-Next", "Qwen3-Coder-Next"}, 2048, 48, 512, 10, 512, 512, 0, 0, 151936, 262144, "BF16",
       {gated(12, 2048, {16, 2, 256}), delta_net(36, 2048, 16, 32, 128)}},
      {"qwen3.5-35b-a3b", "Qwen3.5 35B-A3B", {"Qwen3.6-35B-A3B"}, 2048, 40, 256, 8, 512, 512, 0, 0, 248320, 262144, "BF16",
       {gated(10, 2048, {16, 2, 256}), delta_net(30, 2048, 16, 32, 128)}},
      {"qwen3.5-122b-a10b", "Qwen3.5 122B-A10B", {}, 3072, 48, 256, 8, 1024, 1024, 0, 0, 248320, 262144, "BF16",
       {gated(12, 3072, {32, 2, 256}), delta_net(36, 3072, 16, 64, 128)}},
      {"qwen3.5-397b-a17b", "Qwen3.5 397B-A17B", {"Qwen-AgentWorld-397B-A17B"}, 4096, 60, 512, 10, 1024, 1024, 0, 0, 248320, 262144, "BF16",
       {gated(15, 4096, {32, 2, 256}), delta_net(45, 4096, 16, 64, 128)}},
      {"gpt-oss-20b", "gpt-oss 20B", {}, 2880, 24, 32, 4, 2880, 0, 0, 0, 201088, 131072, "MXFP4",
       {grouped(12, 2880, {64, 8, 64}), grouped(12, 2880, {64, 8, 64}, 128)}},
      {"gpt-oss-120b", "gpt-oss 120B", {}, 2880, 36, 128, 4, 2880, 0, 0, 0, 201088, 131072, "MXFP4",
       {grouped(18, 2880, {64, 8, 64}), grouped(18, 2880, {64, 8, 64}, 128)}},
      {"nemotron-3-nano", "Nemotron 3 Nano 30B-A3B", {"Nemotron-3-Nano-30B-A3B", "NVIDIA-Nemotron-3-Nano-30B-A3B"}, 2688, 23, 128, 6, 1856, 3712, 0,
       0, 131072, 262144, "BF16",
       {grouped(6, 2688, {32, 2, 128}), mamba(23, 2688, 64, 64, 8, 128)}, 0, 2},
      {"nemotron-3-super", "Nemotron 3 Super 120B-A12B", {"Nemotron-3-Super-120B-A12B", "NVIDIA-Nemotron-3-Super-120B-A12B"}, 4096, 40, 512, 22,
       2688, 5376, 0, 0, 131072, 262144, "BF16",
       {grouped(8, 4096, {32, 2, 128}), mamba(40, 4096, 128, 64, 8, 128)}, 1024, 2},
      {"nemotron-3-ultra", "Nemotron 3 Ultra 550B-A55B", {"Nemotron-3-Ultra-550B-A55B", "NVIDIA-Nemotron-3-Ultra-550B-A55B"}, 8192, 48, 512, 22,
       5120, 10240, 0, 0, 131072, 262144, "BF16",
       {grouped(12, 8192, {64, 2, 128}), mamba(48, 8192, 256, 64, 8, 128)}, 2048, 2},
      {"glm-4.5", "GLM-4.5", {"GLM-4.6", "GLM-4.7", "GLM-4.5-355B-A32B"}, 5120, 89, 160, 8, 1536, 1536, 3, 12288, 151552, 131072, "BF16",
       {grouped(92, 5120, {96, 8, 128})}},
      {"glm-4.5-air", "GLM-4.5-Air", {"GLM-4.5-Air-106B-A12B", "GLM-4.5V"}, 4096, 45, 128, 8, 1408, 1408, 1, 10944, 151552, 131072, "BF16",
       {grouped(46, 4096, {96, 8, 128})}},
      {"glm-4.7-flash", "GLM-4.7-Flash", {}, 2048, 46, 64, 4, 1536, 1536, 1, 10240, 154880, 202752, "BF16",
       {latent(47, 2048, 20, {768, 512, 192, 64, 256})}},
      {"glm-5", "GLM-5", {"GLM-5.1", "GLM-5.2"}, 6144, 75, 256, 8, 2048, 2048, 3, 12288, 154880, 202752, "BF16",
       {indexed(78, 6144, 64, kGlm, 32, 128)}},
      {"minimax-m2", "MiniMax-M2", {"MiniMax-M2.5", "MiniMax-M2.7"}, 3072, 62, 256, 8, 1536, 0, 0, 0, 200064, 196608, "FP8",
       {grouped(62, 3072, {48, 8, 128})}},
      {"minimax-m3", "MiniMax-M3", {}, 6144, 57, 128, 4, 3072, 3072, 3, 12288, 200064, 1048576, "BF16", {grouped(60, 6144, {64, 4, 128})}},
      {"llama-4-scout", "Llama 4 Scout 17B-16E", {"Llama-4-Scout-17B-16E-Instruct"}, 5120, 48, 16, 1, 8192, 8192, 0, 0, 202048, 10485760, "BF16",
       {grouped(12, 5120, {40, 8, 128}), grouped(36, 5120, {40, 8, 128}, 8192)}},
      {"llama-4-maverick", "Llama 4 Maverick 17B-128E", {"Llama-4-Maverick-17B-128E-Instruct"}, 5120, 24, 128, 1, 8192, 8192, 24, 16384, 202048,
       1048576, "BF16",
       {grouped(12, 5120, {40, 8, 128}), grouped(36, 5120, {40, 8, 128}, 8192)}},
      {"ling-mini-2.0", "Ling-mini-2.0", {"Ring-mini-2.0"}, 2048, 19, 256, 8, 512, 512, 1, 5120, 157184, 32768, "BF16",
       {grouped(20, 2048, {16, 4, 128})}},
      {"ling-flash-2.0", "Ling-flash-2.0", {"Ring-flash-2.0"}, 4096, 31, 256, 8, 1024, 1024, 1, 9216, 157184, 32768, "BF16",
       {grouped(32, 4096, {32, 4, 128})}},
      {"ling-1t", "Ling-1T", {"Ring-1T"}, 8192, 76, 256, 8, 2048, 2048, 4, 18432, 157184, 32768, "BF16", {grouped(80, 8192, {64, 8, 128})}},
      {"ernie-4.5-21b-a3b", "ERNIE 4.5 21B-A3B", {"ERNIE-4.5-21B-A3B-PT", "ERNIE-4.5-21B-A3B-Thinking"}, 2560, 27, 64, 6, 1536, 3072, 1, 12288,
       103424, 131072, "BF16", {grouped(28, 2560, {20, 4, 128})}, 0, 3, true},
      {"ernie-4.5-300b-a47b", "ERNIE 4.5 300B-A47B", {"ERNIE-4.5-300B-A47B-PT"}, 8192, 51, 64, 8, 3584, 0, 3, 28672, 103424, 131072, "BF16",
       {grouped(54, 8192, {64, 8, 128})}, 0, 3, true},
      {"hunyuan-a13b", "Hunyuan-A13B", {"Hunyuan-A13B-Instruct"}, 4096, 32, 64, 8, 3072, 3072, 0, 0, 128167, 32768, "BF16",
       {grouped(32, 4096, {32, 8, 128})}, 0, 3, true},
      {"olmoe-1b-7b", "OLMoE 1B-7B", {"OLMoE"}, 2048, 16, 64, 8, 1024, 0, 0, 0, 50304, 4096, "BF16", {grouped(16, 2048, {16, 16, 128})}},
      {"gemma-4-26b-a4b", "Gemma 4 26B-A4B", {"Gemma-4-26B-A4B-it"}, 2816, 30, 128, 8, 704, 2112, 0, 0, 262144, 262144, "BF16",
       {grouped(25, 2816, {16, 8, 256}, 1024), keys_as_values(5, 2816, {16, 2, 512})}, 0, 3, true},
      {"mimo-v2-flash", "MiMo-V2-Flash", {}, 4096, 47, 256, 8, 2048, 0, 1, 16384, 152576, 262144, "FP8",
       {uneven(9, 4096, {64, 4, 192}, 128), uneven(39, 4096, {64, 8, 192}, 128, 128)}},
      {"step-3.7-flash", "Step-3.7-Flash", {"Step-3.5-Flash"}, 4096, 42, 288, 8, 1280, 1280, 3, 11264, 128896, 65536, "BF16",
       {grouped(12, 4096, {64, 8, 128}), grouped(33, 4096, {64, 8, 128}, 512)}},
  };
  return shapes;
}

bool is_called(const ModelShape& shape, const std::string& plain) {
  if (plain_name(shape.name) == plain || plain_name(shape.title) == plain) return true;
  const auto matches = [&](std::string_view alias) { return !alias.empty() && plain_name(alias) == plain; };
  return std::any_of(shape.aliases.begin(), shape.aliases.end(), matches);
}

}  // namespace

std::span<const ModelShape> model_shapes() { return table(); }

Result<const ModelShape*> find_model_shape(std::string_view name) {
  const std::string plain = plain_name(name);
  std::vector<std::string_view> names;
  for (const ModelShape& shape : table()) {
    if (is_called(shape, plain)) return &shape;
    names.push_back(shape.name);
    for (const std::string_view alias : shape.aliases) {
      if (!alias.empty()) names.push_back(alias);
    }
  }
  return error(Code::kNotFound, "no model shape is called '%.64s'%s (--list names all)", std::string(name).c_str(),
               did_you_mean(name, names).c_str());
}

uint64_t expert_parameters(const ModelShape& shape) {
  const uint64_t width = shape.expert_embd > 0 ? shape.expert_embd : shape.embd;
  return shape.expert_matrices * width * shape.expert_ff;
}

uint64_t embedding_parameters(const ModelShape& shape) { return uint64_t{shape.vocab} * shape.embd; }

uint64_t dense_parameters(const ModelShape& shape) {
  const uint64_t embd = shape.embd;
  uint64_t sum = embedding_parameters(shape) * (shape.tied ? 1 : 2);
  for (const MixerShape& mixer : shape.mixers) sum += mixer.layers * mixer.parameters;
  const uint64_t to_latent = shape.expert_embd > 0 ? 2 * embd * shape.expert_embd : 0;
  sum += shape.moe_layers * (embd * shape.experts + shape.expert_matrices * embd * shape.shared_ff + to_latent);
  return sum + uint64_t{shape.dense_layers} * 3 * embd * shape.dense_ff;
}

uint64_t total_parameters(const ModelShape& shape) {
  return dense_parameters(shape) + uint64_t{shape.moe_layers} * shape.experts * expert_parameters(shape);
}

uint64_t active_parameters(const ModelShape& shape) {
  return dense_parameters(shape) + uint64_t{shape.moe_layers} * shape.top_k * expert_parameters(shape);
}

uint32_t layer_count(const ModelShape& shape) {
  uint32_t layers = 0;
  for (const MixerShape& mixer : shape.mixers) layers += mixer.layers;
  return layers;
}

double kv_elements(const ModelShape& shape, uint32_t context_tokens) {
  double sum = 0;
  for (const MixerShape& mixer : shape.mixers) sum += mixer.layers * mixer.kv_elements_per_token * context_tokens;
  return sum;
}

double kv_read_elements(const ModelShape& shape, uint32_t context_tokens) {
  double sum = 0;
  for (const MixerShape& mixer : shape.mixers) {
    const uint32_t seen = mixer.window_tokens > 0 ? std::min(mixer.window_tokens, context_tokens) : context_tokens;
    sum += mixer.layers * mixer.kv_elements_per_token * seen;
  }
  return sum;
}

uint64_t state_elements(const ModelShape& shape) {
  uint64_t sum = 0;
  for (const MixerShape& mixer : shape.mixers) sum += mixer.layers * mixer.state_elements;
  return sum;
}

}  // namespace hotset
