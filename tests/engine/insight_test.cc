// What an engine says besides tokens: embeddings, which experts were chosen, the hot set.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "runtime/format/gguf.h"
#include "runtime/format/quant.h"
#include "tests/engine/fault_rig.h"
#include "tests/engine/fixture_run.h"
#include "tests/engine/model_rig.h"
#include "tests/temp_folder.h"

using namespace hotset;
using namespace hotset::test;

namespace {

// float [vocab][width] of the output matrix.
std::vector<float> output_weights(const std::string& path) {
  const auto file = GgufFile::open(path);
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  const TensorInfo* tensor = (*file)->find_tensor("output.weight");
  if (tensor == nullptr) tensor = (*file)->find_tensor("token_embd.weight");
  REQUIRE(tensor != nullptr);
  std::vector<std::byte> bytes(tensor->size_bytes);
  REQUIRE((*file)->read(*tensor, 0, bytes).ok());
  std::vector<float> weights(tensor->elements());
  REQUIRE(dequantize(tensor->type, bytes, weights).ok());
  return weights;
}

std::vector<float> product(const std::vector<float>& matrix, const std::vector<float>& x) {
  std::vector<float> out(matrix.size() / x.size());
  for (size_t row = 0; row < out.size(); ++row) {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(matrix[row * x.size() + i]) * static_cast<double>(x[i]);
    out[row] = static_cast<float>(sum);
  }
  return out;
}

std::vector<float> embedding(Session& session, std::span<const TokenId> tokens, Pooling pooling) {
  const auto values = session.embed(tokens, pooling);
  REQUIRE_MESSAGE(values.ok(), values.status().message());
  return *values;
}

std::vector<float> copied(std::span<const float> values) { return {values.begin(), values.end()}; }

void check_embeddings(const std::string& device) {
  const auto fixture = load_model_fixture(data_path("models/qwen3moe-f32"));
  REQUIRE_MESSAGE(fixture.ok(), fixture.status().message());
  EngineOptions options = fixture_options(*fixture, device);
  options.batch_tokens = 7;  // several chunks
  const auto engine = open_engine(options);
  const auto session = open_session(*engine);
  const std::vector<float> weights = output_weights(fixture->gguf);
  const std::vector<float> last = embedding(*session, fixture->prompt, Pooling::kLast);
  CHECK(last.size() == engine->embedding_size());
  const std::vector<float> logits = copied(session->logits());
  CHECK(nmse(product(weights, last), logits) < 1e-6);
  CHECK(session->position() == fixture->prompt.size());
  session->rewind(0);
  REQUIRE(session->feed(fixture->prompt).ok());
  CHECK(copied(session->logits()) == logits);

  // The mean of what the tokens give one by one.
  session->rewind(0);
  std::vector<float> mean(last.size());
  for (const TokenId& token : fixture->prompt) {
    const std::vector<float> one = embedding(*session, {&token, 1}, Pooling::kLast);
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += one[i] / static_cast<float>(fixture->prompt.size());
  }
  session->rewind(0);
  CHECK(nmse(embedding(*session, fixture->prompt, Pooling::kMean), mean) < 1e-6);
  CHECK(session->embed({}, Pooling::kMean).status().code() == Code::kInvalidArgument);
  const TokenId outside = -1;
  CHECK(session->embed({&outside, 1}, Pooling::kLast).status().code() == Code::kInvalidArgument);
}

// The shipped model with room for some of its experts: in VRAM, or on the CPU in RAM.
EngineOptions tight(const std::string& device) {
  EngineOptions options;
  const auto path = shipped_model_path();
  REQUIRE_MESSAGE(path.ok(), path.status().message());
  options.model_path = *path;
  options.device = device;
  options.context_tokens = 64;
  options.batch_tokens = 16;
  options.miss = MissChoice::kGpu;
  options.prefetch = PrefetchChoice::kOff;
  if (device == "cpu") options.ram = ByteSize{6u << 20, 0, false};
  else options.vram = ByteSize{least_vram_bytes(options) + (4u << 20), 0, false};
  return options;
}

// What the first token of an engine found.
struct FirstToken {
  uint64_t told = 0;  // experts that it chose
  uint64_t held = 0;  // of these, in VRAM, or in RAM on the CPU
  std::vector<float> logits;
};

FirstToken feed_first(Engine& engine) {
  const auto session = open_session(engine);
  FirstToken first;
  session->set_routing_sink([&](const LayerRouting& of) {
    first.told += of.in_vram.size();
    first.held += static_cast<uint64_t>(std::count(of.in_vram.begin(), of.in_vram.end(), 1));
  });
  const TokenId token = 40;
  REQUIRE(session->feed({&token, 1}).ok());
  first.logits = copied(session->logits());
  return first;
}

std::string foreign_hot_set(const TempFolder& folder) {
  const auto fixture = load_model_fixture(data_path("models/qwen3moe"));
  REQUIRE_MESSAGE(fixture.ok(), fixture.status().message());
  const auto engine = open_engine(fixture_options(*fixture, "cpu"));
  feed_first(*engine);
  REQUIRE(engine->save_hot_set(folder.file("foreign")).ok());
  return *read_whole_file(folder.file("foreign"), 1u << 20);
}

void check_warm_start(const std::string& device) {
  const TempFolder folder;
  EngineOptions options = tight(device);
  std::string good;
  FirstToken cold;
  {
    const auto engine = open_engine(options);
    cold = feed_first(*engine);
    REQUIRE(engine->save_hot_set(folder.file("hot")).ok());
    good = *read_whole_file(folder.file("hot"), 1u << 20);
  }
  REQUIRE(cold.held < cold.told);
  options.hot_set_path = folder.file("hot");
  const LogLines quiet;
  const FirstToken warm = feed_first(*open_engine(options));
  CHECK(warm.told == cold.told);
  CHECK(warm.held == warm.told);
  CHECK(warm.logits == cold.logits);
  CHECK(quiet.count("is not used") == 0);
}

void check_unfit_hot_sets(const std::string& device) {
  const TempFolder folder;
  EngineOptions options = tight(device);
  const FirstToken cold = feed_first(*open_engine(options));
  options.hot_set_path = folder.file("hot");
  feed_first(*open_engine(options));  // writes it when it closes
  const std::string good = *read_whole_file(options.hot_set_path, 1u << 20);
  const std::string foreign = foreign_hot_set(folder);
  for (const auto& [text, why] : {std::pair{foreign, "it is of another model"}, {good.substr(0, good.size() - 1), "it was cut off"}, {good.substr(0, 20), "cut off"},
                                  {std::string(1000, '\xff') + "\n", "it does not begin with"}}) {
    CAPTURE(why);
    REQUIRE(write_whole_file(options.hot_set_path, text).ok());
    const LogLines log;
    const FirstToken first = feed_first(*open_engine(options));
    CHECK(log.count("is not used") == 1);
    CHECK(log.count(why) == 1);
    CHECK(first.held == cold.held);
    CHECK(first.logits == cold.logits);
  }
}

}  // namespace

TEST_CASE("insight: the output weights times the embedding are the logits, on the CPU") { check_embeddings("cpu"); }

TEST_CASE("insight: the output weights times the embedding are the logits, on the GPU") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  check_embeddings("vulkan");
}

TEST_CASE("insight: streams that the head joins have an embedding as well") {
  for (const char* name : {"hy_v4", "deepseek4"}) {
    CAPTURE(name);
    const auto fixture = load_model_fixture(data_path("models/") + name);
    REQUIRE_MESSAGE(fixture.ok(), fixture.status().message());
    const auto engine = open_engine(fixture_options(*fixture, "cpu"));
    const auto session = open_session(*engine);
    const std::vector<float> last = embedding(*session, fixture->prompt, Pooling::kLast);
    const std::vector<float> logits = copied(session->logits());
    CHECK(nmse(product(output_weights(fixture->gguf), last), logits) < 1e-2);  // activations of 8 bits
    session->rewind(0);
    REQUIRE(session->feed(fixture->prompt).ok());
    CHECK(copied(session->logits()) == logits);
  }
}

TEST_CASE("insight: a sink is told of every layer's experts, and which of them VRAM held") {
  for (const std::string device : {"cpu", "vulkan"}) {
    const bool gpu = device == "vulkan";
    if (gpu && !has_device()) HOTSET_SKIP("no usable Vulkan device");
    const auto fixture = load_model_fixture(data_path("models/qwen3moe"));
    REQUIRE_MESSAGE(fixture.ok(), fixture.status().message());
    EngineOptions options = fixture_options(*fixture, device);
    if (gpu) REQUIRE(give_least_memory(options).ok());
    const auto engine = open_engine(options);
    const auto session = open_session(*engine);
    std::map<std::pair<uint32_t, uint32_t>, uint32_t> uses;
    uint64_t told = 0, held = 0;
    uint32_t last_position = 0;
    session->set_routing_sink([&](const LayerRouting& of) {
      REQUIRE(of.experts.size() == of.in_vram.size());
      last_position = of.position;
      for (const uint16_t expert : of.experts) ++uses[{of.layer, expert}];
      for (const uint8_t in : of.in_vram) held += in;
      told += of.experts.size();
    });
    for (const TokenId& token : fixture->prompt) REQUIRE(session->feed({&token, 1}).ok());
    CHECK(last_position == fixture->prompt.size() - 1);
    const SessionStats stats = session->stats();
    CHECK(told == stats.decode_lookups);
    CHECK(held == stats.decode_hits);
    const RunHistory& history = session->history();
    for (uint32_t layer = 0; layer < history.layers(); ++layer) {
      for (uint32_t expert = 0; expert < history.experts(); ++expert) CHECK(history.uses()[layer * history.experts() + expert] == uses[{layer, expert}]);
    }
    session->set_routing_sink({});
    REQUIRE(session->feed(std::span(fixture->prompt).first(1)).ok());
    CHECK(told == stats.decode_lookups);
  }
}

TEST_CASE("insight: the hot set is written when asked for") {
  const TempFolder folder;
  const std::string path = folder.file("hot-set");
  const auto fixture = load_model_fixture(data_path("models/qwen3moe"));
  REQUIRE_MESSAGE(fixture.ok(), fixture.status().message());
  const EngineOptions options = fixture_options(*fixture, "cpu");
  const auto engine = open_engine(options);
  const auto session = open_session(*engine);
  for (const TokenId& token : std::span(fixture->prompt).first(8)) REQUIRE(session->feed({&token, 1}).ok());
  const Status saved = engine->save_hot_set(path);
  CHECK_MESSAGE(saved.ok(), saved.message());
  const auto text = read_whole_file(path, 1u << 20);
  REQUIRE(text.ok());
  CHECK(text->starts_with("HOTSET-EXPERTS 1 "));
  CHECK(engine->save_hot_set("/nonexistent/file").code() != Code::kOk);
}

TEST_CASE("insight: an engine with a hot set begins with its experts in RAM") { check_warm_start("cpu"); }

TEST_CASE("insight: an engine with a hot set begins with its experts in VRAM") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  check_warm_start("vulkan");
}

TEST_CASE("insight: a hot set of another model, a cut one and garbage are told and do no harm, on the CPU") { check_unfit_hot_sets("cpu"); }

TEST_CASE("insight: a hot set of another model, a cut one and garbage are told and do no harm, on the GPU") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  check_unfit_hot_sets("vulkan");
}
