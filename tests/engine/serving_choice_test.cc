// The trial of the ways to serve misses, on a real model: held once, remembered, held anew when what is remembered is of no use.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "platform/log.h"
#include "tests/engine/model_rig.h"

using namespace hotset;
using namespace hotset::test;
namespace fs = std::filesystem;

namespace {

// A cache folder of the test's own.
class CacheFolder {
 public:
  CacheFolder() : path_(fs::temp_directory_path() / ("hotset_serving_" + std::to_string(::getpid()))) {
    if (const char* before = std::getenv("XDG_CACHE_HOME")) before_ = before;
    fs::create_directories(path_);
    ::setenv("XDG_CACHE_HOME", path_.c_str(), 1);
  }
  ~CacheFolder() {
    if (before_.empty()) ::unsetenv("XDG_CACHE_HOME");
    else ::setenv("XDG_CACHE_HOME", before_.c_str(), 1);
    std::error_code ec;
    fs::remove_all(path_, ec);
  }
  std::vector<fs::path> serving_files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      if (entry.path().filename().string().starts_with("serving-")) found.push_back(entry.path());
    }
    return found;
  }

 private:
  fs::path path_;
  std::string before_;
};

std::vector<std::string>& lines() {
  static std::vector<std::string> all;
  return all;
}

size_t lines_with(const char* text) {
  const auto holds = [&](const std::string& line) { return line.find(text) != std::string::npos; };
  return static_cast<size_t>(std::count_if(lines().begin(), lines().end(), holds));
}

EngineOptions tight() {
  EngineOptions options;
  const auto path = shipped_model_path();
  REQUIRE_MESSAGE(path.ok(), path.status().message());
  options.model_path = *path;
  options.device = "vulkan";
  options.context_tokens = 64;
  options.batch_tokens = 64;
  options.vram = ByteSize{least_vram_bytes(options) + (2u << 20), 0, false};
  return options;
}

std::string content(const fs::path& path) {
  const auto text = read_whole_file(path.string(), 1 << 16);
  REQUIRE(text.ok());
  return *text;
}

}  // namespace

TEST_CASE("serving choice: ways are tried once, and a broken memory of it is one log line") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const EngineOptions options = tight();
  const CacheFolder folder;
  lines().clear();
  set_log_sink([](LogLevel, std::string_view line) { lines().emplace_back(line); }, LogLevel::kInfo);
  REQUIRE(Engine::open(options).ok());
  REQUIRE(folder.serving_files().size() == 1);
  const fs::path file = folder.serving_files()[0];
  const std::string measured = content(file);
  CHECK(measured.find(" wait\n") != std::string::npos);
  CHECK(lines_with("ways tried") == 1);

  const auto again = Engine::open(options);
  REQUIRE(again.ok());
  CHECK(content(file) == measured);
  const auto session = open_session(**again);
  CHECK(session->explain().find("timed") != std::string::npos);
  CHECK(session->stats().estimated_token_ns > 0);

  for (const std::string& bad : {std::string("nonsense"), measured.substr(0, measured.size() - 2), "hotset serving 1\ndevice other\n" + measured}) {
    lines().clear();
    std::ofstream(file) << bad;
    REQUIRE(Engine::open(options).ok());
    CHECK(lines_with("are tried anew") == 1);
    CHECK(content(file).starts_with(measured.substr(0, measured.find("settings"))));
  }
  set_log_sink({}, LogLevel::kInfo);
}

TEST_CASE("serving choice: a trial changes no token of the GPU's") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  EngineOptions options = tight();
  bool on_cpu = false;
  const auto story_of = [&] {
    const auto engine = Engine::open(options);
    REQUIRE(engine.ok());
    const auto session = open_session(**engine);
    const auto prompt = (*engine)->tokenize("Once upon a time", true, false);
    REQUIRE(prompt.ok());
    std::vector<TokenId> story = greedy(*session, *prompt, 12);
    on_cpu = on_cpu || session->stats().experts_on_cpu > 0;
    return story;
  };
  const CacheFolder folder;
  options.miss = MissChoice::kWait;
  const std::vector<TokenId> reference = story_of();
  CHECK(folder.serving_files().empty());  // nothing to choose
  options.miss = MissChoice::kAuto;
  const std::vector<TokenId> tried = story_of();
  CHECK(folder.serving_files().size() == 1);
  const std::vector<TokenId> remembered = story_of();
  CHECK(tried.size() == reference.size());
  if (on_cpu) HOTSET_SKIP("the CPU was the fastest: it rounds differently");
  CHECK(tried == reference);
  CHECK(remembered == reference);
}
