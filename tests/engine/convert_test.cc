// Checkpoint folders become models that give the same logits: fixtures are taken back to what they could have been made of, and converted.
#include "runtime/engine/convert/convert_model.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "platform/file.h"
#include "runtime/format/gguf.h"
#include "tests/engine/checkpoint_folder.h"
#include "tests/engine/fixture_run.h"
#include "tests/format/gguf_builder.h"
#include "tests/format/safetensors_builder.h"
#include "tests/test_support.h"

namespace {

using namespace hotset;
using test::CheckpointStyle;

const ConvertProgress kOnAndOn = [](uint64_t, uint64_t) { return true; };

const CheckpointStyle kQwen3 = {.model_type = "qwen3_moe"};

std::string fixture_path(const std::string& name) {
  const std::string own = test::data_path("models/" + name);
  return file_exists(own + "/model.gguf") ? own : test::shared_path("golden/models/" + name);
}

std::unique_ptr<GgufFile> open_model(const std::string& path) {
  auto file = GgufFile::open(path);
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  return std::move(file).value();
}

// The fixture's folder, under `folder`; its path.
std::string make_folder(const test::TempFolder& folder, const std::string& fixture, const CheckpointStyle& style) {
  const std::string path = folder.file("checkpoint");
  std::filesystem::create_directory(path);
  test::write_checkpoint(*open_model(fixture_path(fixture) + "/model.gguf"), style, path);
  return path;
}

std::vector<std::byte> bytes_of_tensor(const GgufFile& file, const TensorInfo& tensor) {
  std::vector<std::byte> bytes(tensor.size_bytes);
  REQUIRE(file.read(tensor, 0, bytes).ok());
  return bytes;
}

void check_logits(const std::string& name, const CheckpointStyle& style, const std::string& type) {
  CAPTURE(name);
  const test::TempFolder folder;
  const std::string checkpoint = make_folder(folder, name, style);
  const auto report = convert_model({.folder = checkpoint, .out = folder.file("out.gguf"), .type = type, .threads = 2}, kOnAndOn);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  auto fixture = test::load_model_fixture(fixture_path(name));
  REQUIRE(fixture.ok());
  fixture->gguf = folder.file("out.gguf");
  const auto distance = test::run_fixture(*fixture, test::fixture_options(*fixture, "cpu"));
  REQUIRE_MESSAGE(distance.ok(), distance.status().message());
  const double most = type == "F32" ? test::kMostNmse : test::most_rounded_nmse(*fixture);
  CHECK_MESSAGE(distance->whole < most, distance->whole);
  CHECK(distance->single < most);
  if (type == "F32") CHECK(distance->same_greedy);
}

std::string whole(const std::string& path) {
  auto text = read_whole_file(path, 64u << 20);
  REQUIRE_MESSAGE(text.ok(), text.status().message());
  return std::move(text).value();
}

}  // namespace

TEST_CASE("convert: the tensors and words of a fixture come back bit by bit") {
  const test::TempFolder folder;
  const std::string checkpoint = make_folder(folder, "qwen3moe-f32", kQwen3);
  const auto report = convert_model({.folder = checkpoint, .out = folder.file("out.gguf"), .type = "F32"}, kOnAndOn);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  CHECK(report->architecture == "qwen3moe");
  CHECK(report->file_bytes == std::filesystem::file_size(folder.file("out.gguf")));
  CHECK(report->resumed_bytes == 0);
  const auto made = open_model(folder.file("out.gguf"));
  const auto original = open_model(fixture_path("qwen3moe-f32") + "/model.gguf");
  CHECK(made->tensors().size() == original->tensors().size());
  for (const TensorInfo& tensor : original->tensors()) {
    const TensorInfo* other = made->find_tensor(tensor.name);
    REQUIRE_MESSAGE(other != nullptr, tensor.name);
    CHECK(other->dims == tensor.dims);
    CHECK(other->type == tensor.type);
    CHECK_MESSAGE(bytes_of_tensor(*made, *other) == bytes_of_tensor(*original, tensor), tensor.name);
  }
  for (const GgufValue& value : original->values()) {
    if (value.key().starts_with("general.")) continue;
    const GgufValue* other = made->find(value.key());
    REQUIRE_MESSAGE(other != nullptr, std::string(value.key()));
    if (value.key() == "tokenizer.ggml.tokens") continue;  // unused ones have no text of their own
    CHECK_MESSAGE(std::equal(value.bytes().begin(), value.bytes().end(), other->bytes().begin(), other->bytes().end()), std::string(value.key()));
  }
}

TEST_CASE("convert: a fixture's tokens keep their texts") {
  const test::TempFolder folder;
  REQUIRE(convert_model({.folder = make_folder(folder, "qwen3moe-f32", kQwen3), .out = folder.file("out.gguf")}, kOnAndOn).ok());
  const auto made = open_model(folder.file("out.gguf"));
  const auto original = open_model(fixture_path("qwen3moe-f32") + "/model.gguf");
  const auto own = original->get_strings("tokenizer.ggml.tokens").value(), other = made->get_strings("tokenizer.ggml.tokens").value();
  const auto types = original->get_ints("tokenizer.ggml.token_type").value();
  REQUIRE(own.size() == other.size());
  for (size_t i = 0; i < own.size(); ++i) CHECK((types[i] == 5 || own[i] == other[i]));
}

TEST_CASE("convert: families of the project's own fixtures give their logits") {
  check_logits("qwen3moe-f32", kQwen3, "F32");
  check_logits("qwen3moe-f32", kQwen3, "Q8_0");
  check_logits("dots1", {.model_type = "dots1", .names = {{"ffn_gate_shexp.weight", "mlp.shared_experts.gate_proj.weight"},
                                                        {"ffn_up_shexp.weight", "mlp.shared_experts.up_proj.weight"},
                                                        {"ffn_down_shexp.weight", "mlp.shared_experts.down_proj.weight"}},
                         .settings = {{"num_experts", "n_routed_experts"}}}, "F32");
  check_logits("ernie4_5-moe", {.model_type = "ernie4_5_moe", .names = {{"ffn_gate_shexp.weight", "mlp.shared_experts.gate_proj.weight"},
                                                                      {"ffn_up_shexp.weight", "mlp.shared_experts.up_proj.weight"},
                                                                      {"ffn_down_shexp.weight", "mlp.shared_experts.down_proj.weight"},
                                                                      {"exp_probs_b.bias", "mlp.moe_statics.e_score_correction_bias"}},
                                .settings = {{"num_experts", "moe_num_experts"}, {"num_experts_per_tok", "moe_k"}, {"first_k_dense_replace", "moe_layer_start_index"}},
                                .more = {{"moe_layer_interval", 1}}}, "F32");
  check_logits("hunyuan-moe", {.model_type = "hunyuan_v1_moe", .names = {{"ffn_gate_shexp.weight", "mlp.shared_mlp.gate_proj.weight"},
                                                                       {"ffn_up_shexp.weight", "mlp.shared_mlp.up_proj.weight"},
                                                                       {"ffn_down_shexp.weight", "mlp.shared_mlp.down_proj.weight"},
                                                                       {"ffn_gate_inp.weight", "mlp.gate.wg.weight"},
                                                                       {"attn_q_norm.weight", "self_attn.query_layernorm.weight"},
                                                                       {"attn_k_norm.weight", "self_attn.key_layernorm.weight"}},
                               .settings = {{"num_experts_per_tok", "moe_topk"}}, .more = {{"moe_topk", {3, 3}}, {"tie_word_embeddings", true}}}, "F32");
  check_logits("qwen3next", {.model_type = "qwen3_next", .norms_less_one = true}, "F32");
}

TEST_CASE("convert: families of the shared fixtures give their logits") {
  if (!file_exists(test::shared_path("golden/models/mixtral/model.gguf"))) HOTSET_SKIP("no ../shared/golden/models");
  const std::map<std::string, std::string> mixtral = {{"ffn_gate_inp.weight", "block_sparse_moe.gate.weight"},
                                                      {"exp_probs_b.bias", "block_sparse_moe.e_score_correction_bias"},
                                                      {"ffn_gate_exps.weight", "block_sparse_moe.experts.{E}.w1.weight"},
                                                      {"ffn_up_exps.weight", "block_sparse_moe.experts.{E}.w3.weight"},
                                                      {"ffn_down_exps.weight", "block_sparse_moe.experts.{E}.w2.weight"}};
  const std::map<std::string, std::string> deepseek = {{"ffn_gate_shexp.weight", "mlp.shared_experts.gate_proj.weight"},
                                                       {"ffn_up_shexp.weight", "mlp.shared_experts.up_proj.weight"},
                                                       {"ffn_down_shexp.weight", "mlp.shared_experts.down_proj.weight"}};
  const std::map<std::string, std::string> routed = {{"num_experts", "n_routed_experts"}};
  check_logits("mixtral", {.model_type = "mixtral", .names = mixtral, .settings = {{"num_experts", "num_local_experts"}}, .paired = true}, "F32");
  check_logits("olmoe", {.model_type = "olmoe", .more = {{"norm_topk_prob", false}}}, "F32");
  check_logits("qwen2moe", {.model_type = "qwen2_moe", .more = {{"norm_topk_prob", false}}}, "F32");
  check_logits("minimax-m2", {.model_type = "minimax_m2", .names = mixtral, .settings = {{"num_experts", "num_local_experts"}}, .more = {{"rotary_dim", 16}}}, "F32");
  check_logits("glm4moe", {.model_type = "glm4_moe", .names = deepseek, .settings = routed}, "F32");
  check_logits("deepseek-v1", {.model_type = "deepseek", .names = deepseek, .settings = routed, .paired = true}, "F32");
  check_logits("deepseek-v2-lite", {.model_type = "deepseek_v2", .names = deepseek, .settings = routed}, "F32");
  check_logits("deepseek-v3", {.model_type = "deepseek_v3", .names = deepseek, .settings = routed}, "F32");
  check_logits("kimi-k2", {.model_type = "kimi_k2", .names = deepseek, .settings = routed}, "F32");
  check_logits("qwen35moe", {.model_type = "qwen3_5_moe",
                             .names = {{"attn_qkv.weight", "linear_attn.in_proj_qkv.weight"}, {"attn_gate.weight", "linear_attn.in_proj_z.weight"}},
                             .norms_less_one = true}, "F32");
}

TEST_CASE("convert: Llama 3's rotation factors are computed from the config") {
  if (!file_exists(test::shared_path("golden/models/llama-dense/model.gguf"))) HOTSET_SKIP("no ../shared/golden/models");
  const test::TempFolder folder;
  const nlohmann::json scaling = {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0}, {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 256}};
  const std::string checkpoint = make_folder(folder, "llama-dense", {.model_type = "llama", .more = {{"rope_scaling", scaling}}, .paired = true});
  const auto report = convert_model({.folder = checkpoint, .out = folder.file("out.gguf"), .type = "F32"}, kOnAndOn);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  const auto made = open_model(folder.file("out.gguf"));
  const auto original = open_model(fixture_path("llama-dense") + "/model.gguf");
  const TensorInfo* tensor = made->find_tensor("rope_freqs.weight");
  REQUIRE(tensor != nullptr);
  REQUIRE(tensor->elements() == 32);
  std::vector<float> factors(32);
  REQUIRE(made->read(*tensor, 0, std::as_writable_bytes(std::span(factors))).ok());
  for (int i = 0; i < 32; ++i) {
    const double wave = 2 * 3.14159265358979 * std::pow(10000.0, 2 * i / 64.0);
    const double smooth = (256 / wave - 1) / 3;
    const double expected = wave < 64 ? 1 : wave > 256 ? 8 : 1 / ((1 - smooth) / 8 + smooth);
    CHECK(static_cast<double>(factors[static_cast<size_t>(i)]) == doctest::Approx(expected).epsilon(1e-5));
  }
  for (const char* name : {"blk.0.attn_q.weight", "blk.1.attn_k.weight", "blk.1.ffn_down.weight"}) {
    const TensorInfo* from = original->find_tensor(name);
    std::vector<float> expected(from->elements());
    REQUIRE(dequantize(from->type, bytes_of_tensor(*original, *from), expected).ok());
    std::vector<float> got(expected.size());
    REQUIRE(made->read(*made->find_tensor(name), 0, std::as_writable_bytes(std::span(got))).ok());
    CHECK(got == expected);
  }
}

TEST_CASE("convert: gpt-oss keeps the bits of its experts") {
  if (!file_exists(test::shared_path("golden/models/gpt-oss/model.gguf"))) HOTSET_SKIP("no ../shared/golden/models");
  const CheckpointStyle style = {.model_type = "gpt_oss",
                                 .names = {{"ffn_gate_inp.weight", "mlp.router.weight"}, {"ffn_gate_inp.bias", "mlp.router.bias"}},
                                 .settings = {{"num_experts", "num_local_experts"}},
                                 .more = {{"quantization_config", {{"quant_method", "mxfp4"}}}},
                                 .gpt_oss = true};
  check_logits("gpt-oss", style, "F32");
  check_logits("gpt-oss", style, "");
  const test::TempFolder folder;
  const auto report = convert_model({.folder = make_folder(folder, "gpt-oss", style), .out = folder.file("out.gguf")}, kOnAndOn);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  CHECK(report->type == "MXFP4");
  const auto made = open_model(folder.file("out.gguf"));
  const auto original = open_model(fixture_path("gpt-oss") + "/model.gguf");
  for (const TensorInfo& tensor : original->tensors()) {
    if (tensor.type != BlockType::kMXFP4) continue;
    const TensorInfo* other = made->find_tensor(tensor.name);
    REQUIRE(other != nullptr);
    CHECK_MESSAGE(bytes_of_tensor(*made, *other) == bytes_of_tensor(*original, tensor), tensor.name);
  }
}

TEST_CASE("convert: a run that was stopped goes on, and ends with the same bytes") {
  const test::TempFolder folder;
  const std::string checkpoint = make_folder(folder, "qwen3moe-f32", kQwen3);
  const std::string out = folder.file("out.gguf");
  ConvertOptions options = {.folder = checkpoint, .out = folder.file("whole.gguf"), .type = "Q4_0", .threads = 1};
  REQUIRE(convert_model(options, kOnAndOn).ok());
  options.out = out;
  int runs = 0;
  uint64_t before = 0;
  for (bool done = false; !done; ++runs) {
    int left = 2;
    uint64_t first = 0;
    const auto report = convert_model(options, [&](uint64_t done_bytes, uint64_t) {
      if (first == 0) first = done_bytes;
      return left-- > 0;
    });
    CHECK(first >= before);
    before = first;
    done = report.ok();
    if (done) {
      CHECK(report->resumed_bytes == before);
      break;
    }
    CHECK(report.status().code() == Code::kCancelled);
    CHECK(file_exists(out + ".part"));
    CHECK_FALSE(file_exists(out));
    REQUIRE(runs < 100);
  }
  CHECK(runs > 1);
  CHECK(whole(out) == whole(folder.file("whole.gguf")));
  CHECK_FALSE(file_exists(out + ".part"));
  CHECK(convert_model(options, kOnAndOn).status().message().find("exists already") != std::string::npos);

  // What an earlier run left of another type, or of files that have changed, is no beginning of this one.
  std::filesystem::remove(out);
  const auto stop = [](uint64_t done_bytes, uint64_t) { return done_bytes < 20'000; };
  CHECK(convert_model(options, stop).status().code() == Code::kCancelled);
  options.type = "Q8_0";
  options.threads = 3;
  auto report = convert_model(options, kOnAndOn);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  CHECK(report->resumed_bytes == 0);
  std::filesystem::remove(out);
  options.type = "Q4_0";
  CHECK(convert_model(options, stop).status().code() == Code::kCancelled);
  std::ofstream(checkpoint + "/config.json", std::ios::app) << "\n";
  report = convert_model(options, kOnAndOn);
  REQUIRE(report.ok());
  CHECK(report->resumed_bytes == 0);
  CHECK(whole(out) == whole(folder.file("whole.gguf")));
}

TEST_CASE("convert: types of the usual mixes") {
  const test::TempFolder folder;
  const std::string checkpoint = make_folder(folder, "qwen3moe-f32", kQwen3);
  for (const std::string& type : convert_types()) {
    const std::string out = folder.file(type + ".gguf");
    const auto report = convert_model({.folder = checkpoint, .out = out, .type = type}, kOnAndOn);
    REQUIRE_MESSAGE(report.ok(), report.status().message());
    const auto made = open_model(out);
    CHECK(made->find_tensor("blk.0.attn_norm.weight")->type == BlockType::kF32);
    CHECK(made->find_tensor("blk.0.ffn_gate_inp.weight")->type == BlockType::kF32);
    const std::string experts = made->find_tensor("blk.0.ffn_up_exps.weight")->type_name();
    CHECK(experts == (type == "Q4_K" || type == "Q6_K" ? "Q8_0" : type));  // rows of 64 are no whole super-blocks
  }
  CHECK(convert_model({.folder = checkpoint, .out = folder.file("x"), .type = "Q3_K"}, kOnAndOn).status().message().find("Q8_0, Q6_K") != std::string::npos);
}

TEST_CASE("convert: what is wrong with a folder is said in one line, before anything is left behind") {
  const test::TempFolder folder;
  const std::string checkpoint = make_folder(folder, "qwen3moe-f32", kQwen3);
  const std::string out = folder.file("out.gguf");
  const nlohmann::json config = nlohmann::json::parse(whole(checkpoint + "/config.json"));
  const auto refused = [&](const std::string& message) {
    const auto report = convert_model({.folder = checkpoint, .out = out, .type = "F16"}, kOnAndOn);
    CHECK_FALSE(report.ok());
    CHECK_MESSAGE(report.status().message().find(message) != std::string::npos, report.status().message());
    CHECK(report.status().message().find('\n') == std::string::npos);
    CHECK_FALSE(file_exists(out));
    CHECK_FALSE(file_exists(out + ".part"));
    CHECK_FALSE(file_exists(out + ".part.state"));
  };
  const auto with = [&](auto change, const std::string& message) {
    nlohmann::json changed = config;
    change(changed);
    std::ofstream(checkpoint + "/config.json") << changed.dump();
    refused(message);
  };
  with([](auto& c) { c["model_type"] = "bert"; }, "'bert' cannot be converted yet; these can: qwen3_moe");
  with([](auto& c) { c.erase("model_type"); }, "no model_type");
  with([](auto& c) { c["num_hidden_layers"] = 0; }, "num_hidden_layers");
  with([](auto& c) { c["num_hidden_layers"] = 4000000000u; }, "num_hidden_layers");
  with([](auto& c) { c["num_hidden_layers"] = 3; }, "");
  with([](auto& c) { c["num_experts"] = 5; }, "experts.4.gate_proj.weight' are missing");
  with([](auto& c) { c["num_experts"] = 3; }, "have no place");
  with([](auto& c) { c["num_experts"] = 100000; }, "absurd");
  with([](auto& c) { c["hidden_size"] = 32; }, "could not be run");
  with([](auto& c) { c["num_experts_per_tok"] = 9; }, "could not be run");
  with([](auto& c) { c["vocab_size"] = "many"; c["rope_scaling"] = {{"type", "spiral"}, {"factor", 2}}; }, "'spiral'");
  with([](auto& c) { c["model_type"] = "mixtral"; }, "have no place");
  with([](auto& c) { c["mlp_only_layers"] = {1}; }, "layers without experts");
  std::ofstream(checkpoint + "/config.json") << "{";
  refused("config.json");
  std::filesystem::remove(checkpoint + "/config.json");
  refused("no config.json");
  std::ofstream(checkpoint + "/config.json") << config.dump();
  std::filesystem::remove(checkpoint + "/tokenizer.json");
  refused("no tokenizer.json");
  CHECK(GgufFile::open(checkpoint).status().message().find("hotset convert") != std::string::npos);
}
