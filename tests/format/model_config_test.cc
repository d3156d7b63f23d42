#include "runtime/format/model_config.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "tests/format/gguf_builder.h"
#include "tests/test_support.h"

using namespace hotset;
using test::GgufBuilder;

namespace {

// The metadata of a small model, entry by entry, so that a test can change or drop one.
struct Metadata {
  using Add = std::function<void(GgufBuilder&, const std::string& key)>;
  std::map<std::string, Add> entries;

  Metadata& u32(const std::string& key, uint32_t value) {
    entries[key] = [value](GgufBuilder& b, const std::string& k) { b.u32(k, value); };
    return *this;
  }
  Metadata& f32(const std::string& key, float value) {
    entries[key] = [value](GgufBuilder& b, const std::string& k) { b.f32(k, value); };
    return *this;
  }
  Metadata& text(const std::string& key, const std::string& value) {
    entries[key] = [value](GgufBuilder& b, const std::string& k) { b.text(k, value); };
    return *this;
  }
  Metadata& u32s(const std::string& key, const std::vector<uint32_t>& values) {
    entries[key] = [values](GgufBuilder& b, const std::string& k) { b.numbers(k, values); };
    return *this;
  }
  Metadata& texts(const std::string& key, const std::vector<std::string>& values) {
    entries[key] = [values](GgufBuilder& b, const std::string& k) { b.texts(k, values); };
    return *this;
  }
  Metadata& drop(const std::string& key) {
    entries.erase(key);
    return *this;
  }

  Result<ModelConfig> read(const std::string& architecture = "qwen3moe", const std::string& tensor = "t") const {
    GgufBuilder builder;
    builder.text("general.architecture", architecture).text("general.name", "Small");
    for (const auto& [key, add] : entries) add(builder, key.rfind("tokenizer.", 0) == 0 ? key : architecture + "." + key);
    builder.ones(tensor, {1});
    const test::TempFolder folder;
    const auto file = GgufFile::open(folder.write("m.gguf", builder.bytes()));
    REQUIRE_MESSAGE(file.ok(), file.status().message());
    return read_model_config(**file);
  }
};

Metadata small_moe() {
  Metadata m;
  m.u32("block_count", 3).u32("embedding_length", 64).u32("context_length", 512).u32("vocab_size", 320);
  m.u32("attention.head_count", 4).u32("attention.head_count_kv", 2).f32("attention.layer_norm_rms_epsilon", 1e-6f);
  m.u32("feed_forward_length", 128).u32("expert_count", 8).u32("expert_used_count", 2).u32("expert_feed_forward_length", 32);
  return m;
}

}  // namespace

TEST_CASE("model config: what a file says is read, and what it leaves out has its usual value") {
  const auto plain = small_moe().read();
  REQUIRE_MESSAGE(plain.ok(), plain.status().message());
  CHECK(plain->architecture == "qwen3moe");
  CHECK(plain->name == "Small");
  CHECK(plain->layers == 3);
  CHECK(plain->embedding == 64);
  CHECK(plain->context_length == 512);
  CHECK(plain->vocab_size == 320);
  CHECK(plain->heads == 4);
  CHECK(plain->kv_heads == 2);
  CHECK(plain->layer_kv_heads == std::vector<uint32_t>{2, 2, 2});
  CHECK(plain->key_length == 16);
  CHECK(plain->value_length == 16);
  CHECK(plain->norm_epsilon == 1e-6f);
  CHECK(plain->rms_norm);
  CHECK(plain->rope_base == 10000.0f);
  CHECK(plain->rope_dimensions == 16);
  CHECK(plain->rope_position_scale == 1.0f);
  CHECK(plain->feed_forward == 128);
  CHECK(plain->is_moe());
  CHECK(plain->experts == 8);
  CHECK(plain->experts_used == 2);
  CHECK(plain->expert_feed_forward == 32);
  CHECK(plain->leading_dense_layers == 0);
  CHECK(!plain->expert_weights_norm.has_value());
  CHECK(!plain->expert_weights_scale.has_value());

  Metadata m = small_moe();
  m.u32("attention.key_length", 24).u32("attention.value_length", 20).u32("rope.dimension_count", 8).f32("rope.freq_base", 1e6f);
  m.u32("leading_dense_block_count", 1).f32("expert_weights_scale", 2.5f).u32("expert_gating_func", 2);
  m.u32("expert_shared_count", 1).u32("expert_shared_feed_forward_length", 48).u32("attention.sliding_window", 8);
  m.text("rope.scaling.type", "linear").f32("rope.scaling.factor", 4).drop("attention.head_count_kv");
  m.entries["expert_weights_norm"] = [](GgufBuilder& b, const std::string& k) { b.number<bool>(k, true); };
  m.texts("tokenizer.ggml.tokens", {"a", "b"});
  const auto full = m.read("newmoe");
  REQUIRE_MESSAGE(full.ok(), full.status().message());
  CHECK(full->architecture == "newmoe");
  CHECK(full->kv_heads == 4);
  CHECK(full->key_length == 24);
  CHECK(full->value_length == 20);
  CHECK(full->rope_dimensions == 8);
  CHECK(full->rope_base == 1e6f);
  CHECK(full->rope_position_scale == 4.0f);
  CHECK(full->leading_dense_layers == 1);
  CHECK(*full->expert_weights_scale == 2.5f);
  CHECK(*full->expert_weights_norm);
  CHECK(full->expert_gating_function == 2);
  CHECK(full->shared_experts == 1);
  CHECK(full->shared_expert_feed_forward == 48);
  CHECK(full->sliding_window == 8);
  CHECK(full->vocab_size == 2);
}

TEST_CASE("model config: numbers of other widths and lists for each layer") {
  Metadata m = small_moe();
  m.entries["block_count"] = [](GgufBuilder& b, const std::string& k) { b.number<uint8_t>(k, 3); };
  m.entries["expert_count"] = [](GgufBuilder& b, const std::string& k) { b.number<int64_t>(k, 8); };
  m.entries["rope.freq_base"] = [](GgufBuilder& b, const std::string& k) { b.number<double>(k, 5000.0); };
  m.u32s("attention.head_count_kv", {0, 4, 2}).u32s("feed_forward_length", {0, 7, 9});
  const auto config = m.read();
  REQUIRE_MESSAGE(config.ok(), config.status().message());
  CHECK(config->layers == 3);
  CHECK(config->rope_base == 5000.0f);
  CHECK(config->kv_heads == 4);
  CHECK(config->layer_kv_heads == std::vector<uint32_t>{0, 4, 2});
  CHECK(config->feed_forward == 9);
  CHECK(config->layer_feed_forward == std::vector<uint32_t>{0, 7, 9});
}

TEST_CASE("model config: a dense model has no experts") {
  Metadata m = small_moe();
  m.drop("expert_count").drop("expert_used_count").drop("expert_feed_forward_length");
  const auto config = m.read("llama");
  REQUIRE_MESSAGE(config.ok(), config.status().message());
  CHECK(!config->is_moe());
  CHECK(config->expert_feed_forward == 0);
  CHECK(m.u32("expert_count", 0).u32("expert_used_count", 0).read("llama").ok());
  // Old MoE files give the experts' width as the only one.
  Metadata old = small_moe().drop("expert_feed_forward_length");
  CHECK(old.read("llama")->expert_feed_forward == 128);
}

TEST_CASE("model config: what contradicts itself is refused by name") {
  const float nan = std::nanf("");
  const struct {
    const char* message;
    Metadata metadata;
    const char* architecture = "qwen3moe";
    const char* tensor = "t";
  } cases[] = {
      {"key 'qwen3moe.block_count' is missing", small_moe().drop("block_count")},
      {"key 'qwen3moe.block_count' is 0, but must be from 1 to 4096", small_moe().u32("block_count", 0)},
      {"key 'qwen3moe.block_count' is 4294967295,", small_moe().u32("block_count", UINT32_MAX)},
      {"key 'qwen3moe.block_count' has the type string", small_moe().text("block_count", "3")},
      {"key 'qwen3moe.block_count' has the type f32", small_moe().f32("block_count", 3)},
      {"key 'qwen3moe.embedding_length' is 0,", small_moe().u32("embedding_length", 0)},
      {"key 'qwen3moe.embedding_length' is 2147483648,", small_moe().u32("embedding_length", 1u << 31)},
      {"key 'qwen3moe.context_length' is 0,", small_moe().u32("context_length", 0)},
      {"key 'qwen3moe.vocab_size' is missing", small_moe().drop("vocab_size")},
      {"key 'qwen3moe.vocab_size' is 0,", small_moe().u32("vocab_size", 0)},
      {"key 'tokenizer.ggml.tokens' holds 0 tokens", small_moe().texts("tokenizer.ggml.tokens", {})},
      {"key 'tokenizer.ggml.tokens' has the type u32", small_moe().u32("tokenizer.ggml.tokens", 5)},
      {"key 'tokenizer.ggml.tokens' has the type array of 1 u32", small_moe().u32s("tokenizer.ggml.tokens", {5})},
      {"key 'qwen3moe.attention.head_count' is 0,", small_moe().u32("attention.head_count", 0)},
      {"key 'qwen3moe.attention.head_count' is missing", small_moe().drop("attention.head_count")},
      {"key 'qwen3moe.attention.head_count' is 0,", small_moe().u32s("attention.head_count", {0, 0, 0})},
      {"key 'qwen3moe.attention.head_count_kv' is 0,", small_moe().u32("attention.head_count_kv", 0)},
      {"4 attention heads are not a multiple of 3 key/value heads", small_moe().u32("attention.head_count_kv", 3)},
      {"4 attention heads are not a multiple of 8 key/value heads", small_moe().u32("attention.head_count_kv", 8)},
      {"'qwen3moe.attention.head_count_kv' lists 2 layers, but the model has 3", small_moe().u32s("attention.head_count_kv", {2, 2})},
      {"an embedding of 66 cannot be shared out to 4 heads", small_moe().u32("embedding_length", 66)},
      {"key 'qwen3moe.attention.key_length' is 0,", small_moe().u32("attention.key_length", 0)},
      {"key 'qwen3moe.attention.value_length' is 4294967295,", small_moe().u32("attention.value_length", UINT32_MAX)},
      {"rms_epsilon' is missing", small_moe().drop("attention.layer_norm_rms_epsilon")},
      {"rms_epsilon' is nan,", small_moe().f32("attention.layer_norm_rms_epsilon", nan)},
      {"rms_epsilon' is -1e-06,", small_moe().f32("attention.layer_norm_rms_epsilon", -1e-6f)},
      {"rms_epsilon' is inf,", small_moe().f32("attention.layer_norm_rms_epsilon", HUGE_VALF)},
      {"key 'qwen3moe.rope.freq_base' is 0,", small_moe().f32("rope.freq_base", 0)},
      {"key 'qwen3moe.rope.freq_base' is nan,", small_moe().f32("rope.freq_base", nan)},
      {"'qwen3moe.rope.dimension_count' is 7", small_moe().u32("rope.dimension_count", 7)},
      {"'qwen3moe.rope.dimension_count' is 15", small_moe().u32("attention.key_length", 15)},
      {"key 'qwen3moe.rope.dimension_count' is 18, but must be from 1 to 16", small_moe().u32("rope.dimension_count", 18)},
      {"rope scaling 'dynamic' is not supported yet", small_moe().text("rope.scaling.type", "dynamic")},
      {"key 'qwen3moe.rope.scaling.type' has the type u32", small_moe().u32("rope.scaling.type", 1)},
      {"key 'qwen3moe.rope.scaling.factor' is nan,", small_moe().f32("rope.scaling.factor", nan)},
      {"key 'qwen3moe.rope.scale_linear' is -2,", small_moe().f32("rope.scale_linear", -2)},
      {"key 'qwen3moe.expert_count' is 0, but this is a model with experts", small_moe().u32("expert_count", 0)},
      {"key 'qwen3moe.expert_count' is missing", small_moe().drop("expert_count")},
      {"key 'qwen3moe.expert_count' is 4294967295,", small_moe().u32("expert_count", UINT32_MAX)},
      {"key 'llama.expert_count' is missing", small_moe().drop("expert_count"), "llama"},
      {"key 'llama.expert_count' is missing", small_moe().drop("expert_count").drop("expert_used_count"), "llama",
       "blk.0.ffn_up_exps.weight"},
      {"key 'qwen3moe.expert_used_count' is 0,", small_moe().u32("expert_used_count", 0)},
      {"key 'qwen3moe.expert_used_count' is missing", small_moe().drop("expert_used_count")},
      {"key 'qwen3moe.expert_used_count' is 9, more than the 8 experts there are", small_moe().u32("expert_used_count", 9)},
      {"key 'qwen3moe.expert_feed_forward_length' is 0,", small_moe().u32("expert_feed_forward_length", 0)},
      {"key 'qwen3moe.expert_feed_forward_length' is missing",
       small_moe().drop("expert_feed_forward_length").drop("feed_forward_length")},
      {"key 'qwen3moe.leading_dense_block_count' is 4,", small_moe().u32("leading_dense_block_count", 4)},
      {"key 'qwen3moe.expert_weights_scale' is not a finite number", small_moe().f32("expert_weights_scale", nan)},
      {"key 'qwen3moe.expert_weights_norm' has the type u32", small_moe().u32("expert_weights_norm", 1)},
      {"key 'qwen3moe.feed_forward_length' is 4294967295,", small_moe().u32("feed_forward_length", UINT32_MAX)},
      {"key 'llama.feed_forward_length' is 0,",
       small_moe().drop("expert_count").drop("expert_used_count").u32("feed_forward_length", 0), "llama"},
      {"key 'general.architecture' is empty", small_moe(), ""},
  };
  for (const auto& item : cases) {
    const auto config = item.metadata.read(item.architecture, item.tensor);
    const std::string expected = item.message;
    REQUIRE_MESSAGE(!config.ok(), expected);
    CHECK_MESSAGE(config.status().message().find(expected) != std::string::npos, config.status().message(), " not ", expected);
  }
}

TEST_CASE("model config: the fixtures of the first family") {
  const auto file = GgufFile::open(test::data_path("models/qwen3moe/model.gguf"));
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  const auto config = read_model_config(**file);
  REQUIRE_MESSAGE(config.ok(), config.status().message());
  CHECK(config->architecture == "qwen3moe");
  CHECK(config->layers == 2);
  CHECK(config->embedding == 256);
  CHECK(config->heads == 8);
  CHECK(config->kv_heads == 2);
  CHECK(config->key_length == 32);
  CHECK(config->rope_base == 1e6f);
  CHECK(config->experts == 3);
  CHECK(config->experts_used == 2);
  CHECK(config->expert_feed_forward == 256);
  CHECK(config->vocab_size == 320);
}

// Every architecture of the golden models, also those that cannot be run yet: either the config is read, or what is not
// supported is named.
TEST_CASE("model config: other architectures have the same keys") {
  const std::string root = test::shared_path("golden/models");
  if (!std::filesystem::is_directory(root)) HOTSET_SKIP("no golden models beside the checkout");
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (!entry.is_directory()) continue;
    std::string path = (entry.path() / "model.gguf").string();
    if (!std::filesystem::exists(path)) path = (entry.path() / "model-00001-of-00003.gguf").string();
    const auto file = GgufFile::open(path);
    const Status status = file.ok() ? read_model_config(**file).status() : file.status();
    read += status.ok();
    const bool fine = status.ok() || status.code() == Code::kUnsupported;
    CHECK_MESSAGE(fine, status.message());
  }
  CHECK(read > 10);
}
