// Shapes that have a name. Those of published models are from their config.json.
#include <algorithm>
#include <vector>

#include "tests/tools/synthetic_model.h"

namespace hotset::test {
namespace {

// Published DeepSeek latents: queries, keys and values, rotary part, values of a head.
constexpr LatentDims kLite = {.q_rank = 0, .kv_rank = 512, .rope_dim = 64, .value_dim = 128};
constexpr LatentDims kLarge = {.q_rank = 1536, .kv_rank = 512, .rope_dim = 64, .value_dim = 128};

struct Heads {
  uint32_t q, kv, dim;
};
struct Experts {
  uint32_t count, used, ff, shared;
};

ModelShape shape_of(const char* name, const char* architecture, uint32_t layers, uint32_t embd, Heads heads, Experts experts, uint32_t vocab,
                    uint32_t ctx, float rope_base) {
  ModelShape shape;
  shape.name = name, shape.architecture = architecture;
  shape.layers = layers, shape.embd = embd;
  shape.heads = heads.q, shape.kv_heads = heads.kv, shape.head_dim = heads.dim;
  shape.experts = experts.count, shape.used = experts.used, shape.expert_ff = experts.ff, shape.shared_experts = experts.shared;
  shape.vocab = vocab, shape.ctx = ctx, shape.rope_base = rope_base;
  return shape;
}

ModelShape storyteller() {
  ModelShape shape = shape_of("storyteller", "qwen3moe", 5, 256, {4, 2, 64}, {32, 2, 256, 0}, 4096, 2048, 10000);
  shape.embd_type = BlockType::kQ6_K;
  return shape;
}

ModelShape gpt_oss(const char* name, uint32_t layers, uint32_t experts) {
  ModelShape shape = shape_of(name, "gpt-oss", layers, 2880, {64, 8, 64}, {experts, 4, 2880, 0}, 201088, 131072, 150000);
  shape.window = 128;
  shape.yarn_factor = 32;
  shape.type = shape.embd_type = shape.output_type = BlockType::kQ8_0;
  shape.expert_type = BlockType::kMXFP4;
  shape.down_type = BlockType::kMXFP4;
  return shape;
}

ModelShape deepseek(ModelShape shape, LatentDims latent, uint32_t dense_layers, uint32_t dense_ff, float yarn_factor) {
  shape.latent = latent;
  shape.dense_layers = dense_layers, shape.dense_ff = dense_ff;
  shape.yarn_factor = yarn_factor;
  return shape;
}

ModelShape chosen_by_sigmoid(ModelShape shape, float weights_scale, uint32_t groups, uint32_t groups_used) {
  shape.sigmoid_choice = true, shape.weights_scale = weights_scale;
  shape.groups = groups, shape.groups_used = groups_used;
  return shape;
}

ModelShape with_delta_nets(ModelShape shape, DeltaDims delta, uint32_t rope_dim) {
  shape.delta = delta, shape.rope_dim = rope_dim;
  return shape;
}

ModelShape glm45(const char* name, uint32_t layers, uint32_t embd, Experts experts, uint32_t dense_layers, uint32_t dense_ff, float weights_scale) {
  ModelShape shape = shape_of(name, "glm4moe", layers, embd, {96, 8, 128}, experts, 151552, 131072, 1e6f);
  shape.dense_layers = dense_layers, shape.dense_ff = dense_ff;
  shape.rope_dim = 64;
  return chosen_by_sigmoid(std::move(shape), weights_scale, 1, 1);
}

std::vector<ModelShape> shapes() {
  return {
      ModelShape(),
      storyteller(),
      // The 30B's layer with half of its experts, ten times, and a small vocabulary.
      shape_of("2gb", "qwen3moe", 10, 2048, {32, 4, 128}, {64, 8, 768, 0}, 32768, 8192, 1e6f),
      shape_of("qwen3-30b-a3b", "qwen3moe", 48, 2048, {32, 4, 128}, {128, 8, 768, 0}, 151936, 40960, 1e6f),
      shape_of("qwen3-235b-a22b", "qwen3moe", 94, 4096, {64, 4, 128}, {128, 8, 1536, 0}, 151936, 40960, 1e6f),
      shape_of("mixtral-8x7b", "llama", 32, 4096, {32, 8, 128}, {8, 2, 14336, 0}, 32000, 32768, 1e6f),
      gpt_oss("gpt-oss-20b", 24, 32),
      gpt_oss("gpt-oss-120b", 36, 128),
      deepseek(shape_of("deepseek-v2-lite", "deepseek2", 27, 2048, {16, 1, 192}, {64, 6, 1408, 2}, 102400, 163840, 1e4f), kLite, 1, 10944, 40),
      chosen_by_sigmoid(deepseek(shape_of("deepseek-v3", "deepseek2", 61, 7168, {128, 1, 192}, {256, 8, 2048, 1}, 129280, 163840, 1e4f), kLarge, 3,
                                 18432, 40),
                        2.5f, 8, 4),
      chosen_by_sigmoid(deepseek(shape_of("kimi-k2", "deepseek2", 61, 7168, {64, 1, 192}, {384, 8, 2048, 1}, 163840, 131072, 5e4f), kLarge, 1, 18432,
                                 32),
                        2.827f, 1, 1),
      with_delta_nets(shape_of("qwen3.5-35b-a3b", "qwen35moe", 40, 2048, {16, 2, 256}, {256, 8, 512, 1}, 248320, 262144, 1e7f), {16, 32, 128}, 64),
      with_delta_nets(shape_of("qwen3.5-397b-a17b", "qwen35moe", 60, 4096, {32, 2, 256}, {512, 10, 1024, 1}, 248320, 262144, 1e7f), {16, 64, 128},
                      64),
      glm45("glm-4.5-air", 46, 4096, {128, 8, 1408, 1}, 1, 10944, 1),
      glm45("glm-4.5", 92, 5120, {160, 8, 1536, 1}, 3, 12288, 2.5f),
  };
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const ModelShape& shape : shapes()) names.push_back(shape.name);
  return names;
}

Result<ModelShape> preset_shape(const std::string& name) {
  for (ModelShape& shape : shapes()) {
    if (shape.name == name) return std::move(shape);
  }
  return error(Code::kNotFound, "no shape named '%s'", name.c_str());
}

}  // namespace hotset::test
