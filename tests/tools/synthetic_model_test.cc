// The generator itself: what it writes is a well-formed file of finite values, the same for the same seed, and the
// router skew does what it says.
#include "runtime/engine/engine.h"
#include "runtime/format/quant.h"
#include "tests/tools/synthetic_model.h"
#include "tests/tools/synthetic_tensors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <numeric>

#include "platform/file.h"

namespace hotset::test {
namespace {

float half_value(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const double magnitude = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
  return static_cast<float>(bits & 0x8000 ? -magnitude : magnitude);
}

// Value `i` of a block, straight from ggml's description of the formats.
double block_value(BlockType type, const std::byte* block, uint32_t i) {
  const auto byte = [&](uint32_t at) { return static_cast<uint32_t>(block[at]); };
  const auto k_value = [&](uint32_t quant) {
    const uint32_t j = i / 32;
    const uint32_t scale = j < 4 ? byte(4 + j) & 63 : (byte(8 + j) & 15) | (byte(j) >> 6 << 4);
    const uint32_t minimum = j < 4 ? byte(8 + j) & 63 : (byte(8 + j) >> 4) | (byte(4 + j) >> 6 << 4);
    return double{half_value(block)} * scale * quant - double{half_value(block + 2)} * minimum;
  };
  const auto nibble = [&](uint32_t base) {
    return (byte(base + i / 64 * 32 + i % 32) >> (i % 64 / 32 * 4)) & 15;
  };
  float value;
  switch (type) {
    case BlockType::kF32: std::memcpy(&value, block, 4); return value;
    case BlockType::kF16: return half_value(block);
    case BlockType::kBf16: {
      const uint32_t bits = (byte(0) | byte(1) << 8) << 16;
      std::memcpy(&value, &bits, 4);
      return value;
    }
    case BlockType::kQ8_0: return double{half_value(block)} * static_cast<int8_t>(byte(2 + i));
    case BlockType::kQ4_0: {
      const auto quant = static_cast<int>((byte(2 + i % 16) >> (i / 16 * 4)) & 15);
      return double{half_value(block)} * (quant - 8);
    }
    case BlockType::kMXFP4: {
      const double magnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
      const uint32_t bits = (byte(1 + i % 16) >> (i / 16 * 4)) & 15;
      return std::ldexp(bits & 8 ? -magnitudes[bits & 7] : magnitudes[bits & 7], static_cast<int>(byte(0)) - 127);
    }
    case BlockType::kQ4_K: return k_value(nibble(16));
    case BlockType::kQ5_K: return k_value(nibble(48) | ((byte(16 + i % 32) >> (i / 32)) & 1) << 4);
    case BlockType::kQ6_K: {
      const uint32_t half = i / 128, l = i % 32, quarter = i % 128 / 32;
      const uint32_t low = (byte(half * 64 + (quarter & 1) * 32 + l) >> (quarter / 2 * 4)) & 15;
      const uint32_t high = (byte(128 + half * 32 + l) >> (quarter * 2)) & 3;
      const auto scale = static_cast<int8_t>(byte(192 + i / 16));
      return double{half_value(block + 208)} * scale * (static_cast<int>(low | high << 4) - 32);
    }
    default: break;
  }
  // The others are made with the runtime's own dequantisation, so that may as well read them.
  float values[256];
  const auto stored = static_cast<hotset::BlockType>(type);
  const bool read = dequantize(stored, {block, block_bytes(stored)}, std::span(values).first(block_elements(stored))).ok();
  return read ? double{values[i]} : double{NAN};
}

struct TemporaryFolder {
  std::filesystem::path path;
  TemporaryFolder() {
    char name[] = "/tmp/hotset-model-XXXXXX";
    path = mkdtemp(name);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

std::string write_model(const ModelShape& shape, const TemporaryFolder& folder, unsigned threads = 1) {
  const auto written = write_synthetic_model(shape, folder.path / "m.gguf", threads);
  REQUIRE(written.ok());
  auto content = read_whole_file(written.value().files[0], 1 << 30);
  REQUIRE(content.ok());
  return content.value();
}

// A tensor's bytes, found by its name in the table and the file's size from its end: enough for files made here.
const char* tensor_data(const std::string& file, const std::string& name, size_t dim_count, size_t data_start) {
  const size_t at = file.find(name + std::string(1, static_cast<char>(dim_count)) + std::string(3, '\0'));
  REQUIRE(at != std::string::npos);
  uint64_t offset;
  std::memcpy(&offset, file.data() + at + name.size() + 4 + 8 * dim_count + 4, 8);
  return file.data() + data_start + offset;
}

// Share of all choices that the busiest quarter of layer 0's experts gets over all tokens of the vocabulary, the
// embedding alone taken for the hidden state.
double busiest_quarter(const ModelShape& shape, const std::string& file) {
  // The embedding is the first tensor, so its data starts where the padded head ends.
  const uint64_t row_bytes = shape.embd * 4, embedding_bytes = row_bytes * shape.vocab;
  const size_t at = file.rfind("ffn_up_exps.weight");
  uint64_t last_offset;
  std::memcpy(&last_offset, file.data() + at + 18 + 4 + 24 + 4, 8);
  const size_t total = last_offset + uint64_t{4} * shape.embd * shape.expert_ff * shape.experts;
  const size_t start = file.size() - total;
  REQUIRE(start % 32 == 0);
  REQUIRE(embedding_bytes < total);
  const auto* embedding = reinterpret_cast<const float*>(file.data() + start);
  const auto* router = reinterpret_cast<const float*>(tensor_data(file, "blk.0.ffn_gate_inp.weight", 2, start));
  std::vector<int> counts(shape.experts);
  for (uint32_t token = 0; token < shape.vocab; ++token) {
    std::vector<std::pair<double, uint32_t>> scores;
    for (uint32_t expert = 0; expert < shape.experts; ++expert) {
      const float* hidden = embedding + uint64_t{token} * shape.embd;
      scores.emplace_back(std::inner_product(hidden, hidden + shape.embd, router + uint64_t{expert} * shape.embd, 0.0),
                          expert);
    }
    std::partial_sort(scores.begin(), scores.begin() + shape.used, scores.end(), std::greater<>());
    for (uint32_t k = 0; k < shape.used; ++k) ++counts[scores[k].second];
  }
  std::sort(counts.begin(), counts.end(), std::greater<>());
  return std::accumulate(counts.begin(), counts.begin() + shape.experts / 4, 0.0) / (shape.vocab * shape.used);
}

ModelShape float_shape(double skew) {
  ModelShape shape;
  shape.type = shape.expert_type = shape.embd_type = shape.output_type = BlockType::kF32;
  shape.down_type = BlockType::kF32;
  shape.layers = 1, shape.embd = 64, shape.expert_ff = 32, shape.experts = 32, shape.vocab = 512;
  shape.router_skew = skew;
  return shape;
}

// A small shape with all that the architecture has.
ModelShape family_shape(const std::string& architecture) {
  ModelShape shape;
  shape.architecture = architecture;
  shape.layers = 4;
  if (architecture == "gpt-oss") shape.window = 8, shape.yarn_factor = 32;
  if (architecture == "qwen35moe") shape.delta = {2, 4, 32};
  if (architecture == "qwen35moe" || architecture == "qwen2moe") shape.shared_experts = 1;
  if (architecture == "deepseek2") {
    shape.latent = {.q_rank = 64, .kv_rank = 64, .rope_dim = 16, .value_dim = 32};
    shape.head_dim = 48, shape.kv_heads = 1;
    shape.groups = 4, shape.groups_used = 2;
  }
  if (architecture == "deepseek2" || architecture == "glm4moe") {
    shape.dense_layers = 1, shape.dense_ff = 96;
    shape.shared_experts = 1;
    shape.sigmoid_choice = true;
  }
  return shape;
}

}  // namespace

TEST_CASE("random blocks: finite, centred, of the wanted deviation, positive where asked") {
  for (const BlockFormat& format : block_formats()) {
    CAPTURE(format.name);
    Random random(7);
    const uint32_t blocks = 65536 / format.values;
    std::vector<std::byte> bytes(size_t{blocks} * format.size_bytes);
    fill_blocks(format.type, 0.02, random, bytes);
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < 65536; ++i) {
      const double value =
          block_value(format.type, bytes.data() + i / format.values * format.size_bytes, i % format.values);
      sum += value, squares += value * value;
    }
    CHECK(std::sqrt(squares / 65536) == doctest::Approx(0.02).epsilon(0.04));
    CHECK(std::fabs(sum / 65536) < 0.0025);
    if (format.positive_mean == 0) continue;
    double positive = 0;
    const uint32_t row_blocks = std::max(1u, kPositiveChannels / format.values);
    for (uint32_t row = 0; row < 256; ++row) {
      bytes.resize(size_t{row_blocks} * format.size_bytes);
      fill_blocks(format.type, 1, random, bytes);
      make_channels_positive(format.type, bytes);
      for (uint32_t i = 0; i < kPositiveChannels; ++i) {
        const double value =
            block_value(format.type, bytes.data() + i / format.values * format.size_bytes, i % format.values);
        CHECK(value >= 0);
        positive += value;
      }
    }
    CHECK(positive / (256 * kPositiveChannels) == doctest::Approx(format.positive_mean).epsilon(0.05));
  }
}

TEST_CASE("synthetic model: the bytes depend on the seed and not on threads; size is what the writer says") {
  const TemporaryFolder folder;
  ModelShape shape;
  shape.router_skew = 1;
  const std::string one = write_model(shape, folder, 1);
  CHECK(one == write_model(shape, folder, 3));
  CHECK(one.substr(0, 4) == "GGUF");
  CHECK(one.size() % 32 == 0);
  shape.seed = 2;
  const std::string other = write_model(shape, folder, 1);
  CHECK(other.size() == one.size());
  CHECK(other != one);
}

TEST_CASE("synthetic model: every preset but the large ones is a shape that can be written; parts add up") {
  const TemporaryFolder folder;
  for (const char* name : {"tiny", "storyteller"}) {
    auto shape = preset_shape(name);
    REQUIRE(shape.ok());
    shape.value().parts = 3;
    const auto written = write_synthetic_model(shape.value(), folder.path / "split.gguf", 2);
    REQUIRE(written.ok());
    REQUIRE(written.value().files.size() == 3);
    uint64_t sum = 0;
    for (const std::string& file : written.value().files) sum += std::filesystem::file_size(file);
    CHECK(sum == written.value().size_bytes);
    const auto text = Engine::open_text(written.value().files[0]);
    CHECK_MESSAGE(text.ok(), text.status().message());
    const auto report = inspect_model(written.value().files[0]);
    REQUIRE_MESSAGE(report.ok(), report.status().message());
    CHECK_MESSAGE(report->runnable, report->why_not);
  }
}

TEST_CASE("synthetic model: every architecture runs, and its logits are finite and differ from token to token") {
  const TemporaryFolder folder;
  for (const std::string& architecture : synthetic_architectures()) {
    CAPTURE(architecture);
    const ModelShape shape = family_shape(architecture);
    const auto written = write_synthetic_model(shape, folder.path / "m.gguf", 1);
    REQUIRE_MESSAGE(written.ok(), written.status().message());
    const auto report = inspect_model(written->files[0]);
    REQUIRE_MESSAGE(report.ok(), report.status().message());
    CHECK_MESSAGE(report->runnable, report->why_not);
    CHECK(report->moe_layers == shape.layers - shape.dense_layers);
    EngineOptions options;
    options.model_path = written->files[0];
    options.device = "cpu";
    const auto engine = Engine::open(options);
    REQUIRE_MESSAGE(engine.ok(), engine.status().message());
    const auto session = (*engine)->create_session();
    REQUIRE_MESSAGE(session.ok(), session.status().message());
    std::vector<std::vector<float>> rows;
    const TokenId tokens[] = {5, 70, 9, 200, 31};
    REQUIRE((*session)->feed(tokens, [&](uint32_t, std::span<const float> logits) { rows.emplace_back(logits.begin(), logits.end()); }).ok());
    REQUIRE(rows.size() == 5);
    for (const auto& row : rows) {
      double squares = 0;
      for (const float logit : row) squares += double{logit} * double{logit};
      const double deviation = std::sqrt(squares / static_cast<double>(row.size()));
      CHECK(deviation > 1);  // false for NaN
      CHECK(deviation < 9);
    }
    CHECK(rows[0] != rows[1]);
  }
}

TEST_CASE("synthetic model: the published shapes have the published parameter counts") {
  for (const auto& [name, billions] : std::map<std::string, double>{{"gpt-oss-20b", 20.91}, {"gpt-oss-120b", 116.83}, {"mixtral-8x7b", 46.70},
                                                                    {"deepseek-v2-lite", 15.71}, {"deepseek-v3", 671.03}, {"kimi-k2", 1026.5},
                                                                    {"qwen3-30b-a3b", 30.53}, {"qwen3-235b-a22b", 235.09},
                                                                    {"qwen3.5-35b-a3b", 34.66}, {"glm-4.5-air", 106.9}, {"glm-4.5", 353.8}}) {
    CAPTURE(name);
    const auto shape = preset_shape(name);
    REQUIRE(shape.ok());
    double parameters = 0;
    for (const Tensor& tensor : plan_tensors(*shape)) parameters += static_cast<double>(tensor.dims[0] * tensor.rows());
    CHECK(parameters / 1e9 == doctest::Approx(billions).epsilon(0.005));
  }
}

TEST_CASE("synthetic model: the skew makes some experts popular") {
  const TemporaryFolder folder;
  std::map<double, double> shares;
  for (const double skew : {0.0, 1.0, 3.0}) {
    shares[skew] = busiest_quarter(float_shape(skew), write_model(float_shape(skew), folder));
  }
  CHECK(shares[0.0] < 0.45);
  CHECK(shares[1.0] > shares[0.0] + 0.2);
  CHECK(shares[3.0] > 0.95);
}

TEST_CASE("synthetic model: shapes that cannot be are errors") {
  const TemporaryFolder folder;
  const auto fails = [&](auto change) {
    ModelShape shape;
    change(shape);
    return write_synthetic_model(shape, folder.path / "bad.gguf", 1).status().code() == Code::kInvalidArgument;
  };
  CHECK(fails([](ModelShape& shape) { shape.layers = 0; }));
  CHECK(fails([](ModelShape& shape) { shape.used = shape.experts + 1; }));
  CHECK(fails([](ModelShape& shape) { shape.embd = 250; }));
  CHECK(fails([](ModelShape& shape) { shape.vocab = 10; }));
  CHECK(fails([](ModelShape& shape) { shape.kv_heads = 3; }));
  CHECK(fails([](ModelShape& shape) { shape.parts = 900; }));
  CHECK(fails([](ModelShape& shape) { shape.architecture = "bert"; }));
  CHECK(write_synthetic_model(ModelShape(), "/no/such/folder/m.gguf", 1).status().code() == Code::kIo);
  CHECK(preset_shape("huge").status().code() == Code::kNotFound);
}

}  // namespace hotset::test
