// Whole models against the reference logits that come with each fixture. Tolerances: tests/data/README.md.
#include <algorithm>
#include <filesystem>

#include "tests/engine/model_rig.h"

using namespace hotset;
using namespace hotset::test;

namespace {

// With float32 activations and exact weights the fixtures' own limit is 1e-5, and 1e-7 is what it should be; a float16 KV
// cache rounds each key and value once: 1e-4.
constexpr double kNmseF32 = 1e-7;
constexpr double kNmseF16 = 1e-4;
constexpr double kNmseBetweenPasses = 1e-6;

struct Fixture {
  std::string folder;
  std::vector<TokenId> prompt;
  std::vector<TokenId> greedy;
  std::vector<float> logits;  // [prompt][vocab]
};

Fixture load_fixture(const std::string& folder) {
  const auto expect = read_json(folder + "/expect.json");
  Fixture fixture;
  fixture.folder = folder;
  fixture.prompt = expect["prompt"].get<std::vector<TokenId>>();
  fixture.greedy = expect["greedy"].get<std::vector<TokenId>>();
  fixture.logits = read_floats(folder + "/" + expect["files"]["logits"].get<std::string>());
  return fixture;
}

EngineOptions options_for(const Fixture& fixture, KvType kv) {
  EngineOptions options;
  options.model_path = fixture.folder + "/model.gguf";
  options.kv_type = kv;
  options.miss = MissChoice::kGpu;  // the CPU rounds
  options.context_tokens = 64;
  return options;
}

void check_fixture(const Fixture& fixture, const EngineOptions& options, double limit) {
  const auto engine = open_engine(options);
  const auto session = open_session(*engine);
  const auto prompt = all_logits(*session, fixture.prompt, false);
  CHECK(nmse(prompt, fixture.logits) <= limit);
  session->rewind(0);
  const auto singly = all_logits(*session, fixture.prompt, true);
  CHECK(nmse(singly, fixture.logits) <= limit);
  CHECK(nmse(singly, prompt) <= kNmseBetweenPasses + (options.kv_type == KvType::kF16 ? limit : 0));
  session->rewind(0);
  CHECK(greedy(*session, fixture.prompt, fixture.greedy.size()) == fixture.greedy);
  const SessionStats stats = session->stats();
  CHECK(stats.vram_peak_bytes <= stats.vram_budget_bytes);
}

void check_all_ways(const std::string& folder) {
  const Fixture fixture = load_fixture(folder);
  check_fixture(fixture, options_for(fixture, KvType::kF32), kNmseF32);
  check_fixture(fixture, options_for(fixture, KvType::kF16), kNmseF16);
  EngineOptions smallest = options_for(fixture, KvType::kF32);
  smallest.vram = ByteSize{least_vram_bytes(smallest), 0, false};
  check_fixture(fixture, smallest, kNmseF32);
}

}  // namespace

TEST_CASE("model: qwen3moe fixtures of every weight type give the reference logits") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  for (const char* name : {"qwen3moe", "qwen3moe-f32", "qwen3moe-f16", "qwen3moe-bf16", "qwen3moe-q8_0", "qwen3moe-q4_0", "qwen3moe-tied", "qwen3moe-iq1",
                           "qwen3moe-q2_k"}) {
    CAPTURE(name);
    check_all_ways(data_path("models/") + name);
  }
}

TEST_CASE("model: qwen3moe fixtures of the rarer weight types, beside the checkout") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const std::string folder = shared_path("golden/models/");
  if (!file_exists(folder + "qwen3moe-iq2/model.gguf")) HOTSET_SKIP("no fixtures beside the checkout");
  for (const char* name : {"qwen3moe-iq2", "qwen3moe-iq3", "qwen3moe-iq4", "qwen3moe-q3_k", "qwen3moe-q4_1", "qwen3moe-q5"}) {
    CAPTURE(name);
    check_all_ways(folder + name);
  }
}

TEST_CASE("model: a prompt in chunks of any size gives the same bits") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const Fixture fixture = load_fixture(data_path("models/qwen3moe"));
  std::vector<float> whole;
  for (const uint32_t batch : {512u, 1u, 3u, 8u, 31u}) {
    CAPTURE(batch);
    EngineOptions options = options_for(fixture, KvType::kF16);
    options.batch_tokens = batch;
    const auto engine = open_engine(options);
    const auto session = open_session(*engine);
    const auto logits = all_logits(*session, fixture.prompt, false);
    if (whole.empty()) whole = logits;
    CHECK(logits == whole);
  }
}
