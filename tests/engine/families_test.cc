// Every family against the reference logits of its fixtures: those in tests/data, and the whole set where it lies beside the project.
#include <doctest/doctest.h>

#include <filesystem>
#include <set>

#include "runtime/model/family.h"
#include "tests/engine/fixture_run.h"
#include "tests/engine/model_rig.h"

using namespace hotset;
using namespace hotset::test;

namespace {

// Folders of fixtures by name: of the project, and of the shared set where that is there.
std::vector<std::string> fixture_folders() {
  std::set<std::string> seen;
  std::vector<std::string> folders;
  for (const std::string& root : {shared_path("golden/models"), data_path("models")}) {
    if (!std::filesystem::is_directory(root)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(root)) {
      const bool whole = std::filesystem::exists(entry.path() / "expect.json");
      if (whole && seen.insert(entry.path().filename()).second) folders.push_back(entry.path());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

void check_exact(const ModelFixture& fixture, const EngineOptions& options) {
  const auto distance = run_fixture(fixture, options);
  CHECK_MESSAGE(distance.ok(), distance.status().message());
  if (!distance.ok()) return;
  CAPTURE(distance->whole);
  CAPTURE(distance->single);
  CAPTURE(distance->median);
  CHECK(is_exact(fixture, *distance));
}

void check_rounded(const ModelFixture& fixture, const EngineOptions& options) {
  const auto distance = run_fixture(fixture, options);
  CHECK_MESSAGE(distance.ok(), distance.status().message());
  if (!distance.ok()) return;
  CHECK(distance->median <= most_rounded_nmse(fixture));
}

template <class Check>
void for_each_fixture(Check check) {
  for (const std::string& folder : fixture_folders()) {
    CAPTURE(folder);
    const auto fixture = load_model_fixture(folder);
    CHECK_MESSAGE(fixture.ok(), fixture.status().message());
    if (fixture.ok()) check(*fixture);
  }
}

}  // namespace

TEST_CASE("families: on the GPU every fixture gives the reference logits, whole and token by token") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  for_each_fixture([](const ModelFixture& fixture) { check_exact(fixture, fixture_options(fixture, "vulkan")); });
}

// Small enough for the stage under the validation layers.
TEST_CASE("model: families with every kind of layer give the reference logits") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  for (const char* name : {"deepseek4", "gemma4", "hy_v4", "jamba", "kimi-linear", "llama4", "mistral4", "nemotron-h-moe", "qwen3next"}) {
    CAPTURE(name);
    const auto fixture = load_model_fixture(data_path("models/") + name);
    REQUIRE_MESSAGE(fixture.ok(), fixture.status().message());
    check_exact(*fixture, fixture_options(*fixture, "vulkan"));
  }
}

TEST_CASE("families: at the least VRAM every fixture gives them as well") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  for_each_fixture([](const ModelFixture& fixture) {
    EngineOptions options = fixture_options(fixture, "vulkan");
    options.miss = MissChoice::kWait;
    REQUIRE(give_least_memory(options).ok());
    check_exact(fixture, options);
  });
}

TEST_CASE("families: with missed experts on the CPU every fixture stays near them") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  for_each_fixture([](const ModelFixture& fixture) {
    EngineOptions options = fixture_options(fixture, "vulkan");
    options.miss = MissChoice::kCpu;
    REQUIRE(give_least_memory(options).ok());
    check_rounded(fixture, options);
  });
}

TEST_CASE("families: on the CPU every fixture stays near them, from RAM and from the disk") {
  for_each_fixture([](const ModelFixture& fixture) {
    EngineOptions options = fixture_options(fixture, "cpu");
    check_rounded(fixture, options);
    options.ram = ByteSize{1, 0, false};
    const auto refused = Engine::open(options);
    if (refused.ok()) return;  // without experts there is nothing to read
    const std::string& message = refused.status().message();
    const size_t end = message.find(" bytes)");
    REQUIRE_MESSAGE(end != std::string::npos, message);
    options.ram = ByteSize{std::strtoull(message.c_str() + message.rfind('(', end) + 1, nullptr, 10), 0, false};
    check_rounded(fixture, options);
  });
}

TEST_CASE("families: the table is sorted, without doubles, and every shared architecture is in it") {
  const auto all = families();
  CHECK(std::is_sorted(all.begin(), all.end(), [](const Family& a, const Family& b) { return a.architecture < b.architecture; }));
  for (size_t i = 1; i < all.size(); ++i) CHECK(all[i - 1].architecture != all[i].architecture);
}

TEST_CASE("families: MiniMax-M3 sees all positions, or the blocks that its indexer chooses") {
  const std::string folder = shared_path("golden/models/minimax-m3-topk");
  if (!std::filesystem::is_directory(folder)) HOTSET_SKIP("no shared fixtures");
  const auto fixture = load_model_fixture(folder);
  REQUIRE_MESSAGE(fixture.ok(), fixture.status().message());
  EngineOptions options = fixture_options(*fixture, "cpu");
  options.block_sparse = true;
  const auto engine = open_engine(options);
  const auto session = open_session(*engine);
  const std::vector<float> sparse = all_logits(*session, fixture->prompt, true);
  // Four blocks of four positions may be chosen: until there are more, all are.
  const size_t vocab = fixture->logits.size() / fixture->prompt.size();
  const auto from = [&](const std::vector<float>& logits, size_t first, size_t end) {
    return std::vector<float>(logits.begin() + static_cast<std::ptrdiff_t>(first * vocab), logits.begin() + static_cast<std::ptrdiff_t>(end * vocab));
  };
  CHECK(nmse(from(sparse, 0, 16), from(fixture->logits, 0, 16)) <= 1e-4);
  CHECK(nmse(from(sparse, 16, fixture->prompt.size()), from(fixture->logits, 16, fixture->prompt.size())) > 1e-2);
}

TEST_CASE("model: a generation hands on special tokens when asked to") {
  const auto fixture = load_model_fixture(data_path("models/smallthinker"));
  REQUIRE_MESSAGE(fixture.ok(), fixture.status().message());
  const auto engine = open_engine(fixture_options(*fixture, "cpu"));
  const auto session = open_session(*engine);
  const auto written = [&](bool shown) {
    std::string text;
    session->rewind(0);
    session->show_special(shown);
    const auto stop = session->generate(fixture->prompt, 3, [&](std::string_view piece) {
      text += piece;
      return true;
    });
    CHECK(stop.ok());
    return text;
  };
  // The model's first token is one of padding, then come characters.
  const std::string plain = written(false);
  CHECK(plain.size() >= 2);
  CHECK(plain.find("<|pad|>") == std::string::npos);
  CHECK(written(true) == "<|pad|>" + plain);
}
