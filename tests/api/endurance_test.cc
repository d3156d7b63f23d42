// What a program does for days: engines that come and go leave nothing behind, and budgets that change all the time change no token.
#include <doctest/doctest.h>

#include <hotset/hotset.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "runtime/engine/engine.h"
#include "tests/api/tokens.h"
#include "tests/engine/model_rig.h"
#include "tests/process_limits.h"
#include "tests/test_support.h"

namespace api = hotset::api;
using hotset::test::has_device;
using hotset::test::told;

namespace {

// What a process holds of the system.
struct Held {
  uint64_t resident_bytes = 0;
  size_t descriptors = 0;
  size_t threads = 0;
};

size_t entries(const char* folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

Held held() {
  uint64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return {resident * 4096, entries("/proc/self/fd"), entries("/proc/self/task")};
}

void open_and_close(const char* device, const std::string& model) {
  api::options options;
  options.set("device", device).set("ctx", "32").set("batch", "8").set("threads", "2").set("temp", "0").set("miss", "gpu");
  const api::engine engine(model, options);
  api::session session(engine);
  const hotset_token prompt[] = {1, 2, 3};
  session.feed(prompt);
  session.load_bytes(session.save_bytes());
  session.feed(std::span(prompt).first(1));
}

// What one round leaves shows at the end, so a device whose opening takes long needs fewer of them.
void check_open_and_close(const char* device, int rounds, uint64_t most_bytes) {
  const std::string model = hotset::test::data_path("models/qwen3moe/model.gguf");
  for (int i = 0; i < 5; ++i) open_and_close(device, model);
  const Held before = held();
  for (int i = 0; i < rounds; ++i) open_and_close(device, model);
  const Held after = held();
  CHECK(after.descriptors == before.descriptors);
  CHECK(after.threads == before.threads);
  if (!hotset::test::sanitized()) CHECK(after.resident_bytes < before.resident_bytes + most_bytes);
}

// The least RAM for experts that the options' engine names.
uint64_t least_ram_bytes(hotset::EngineOptions options) {
  options.ram = hotset::ByteSize{1, 0, false};
  const auto engine = hotset::Engine::open(options);
  REQUIRE_FALSE(engine.ok());
  const std::string& message = engine.status().message();
  const size_t end = message.find(" bytes)");
  REQUIRE_MESSAGE(end != std::string::npos, message);
  return std::stoull(message.substr(message.rfind('(', end) + 1));
}

constexpr uint32_t kChanges = 1000;

// `change(i)` from another thread, kChanges times, while tokens are made.
template <class Change>
void check_changes(api::session& session, std::span<const hotset_token> prompt, Change change) {
  const auto reference = told(session, prompt, 12);
  std::atomic<uint32_t> changed{0};
  std::thread other([&] {
    for (uint32_t i = 0; i < kChanges; ++i, ++changed) change(i);
  });
  uint32_t rounds = 0;
  bool same = true;
  for (; changed < kChanges || rounds < 3; ++rounds) same = same && told(session, prompt, 12) == reference;
  other.join();
  CHECK(same);
}

}  // namespace

TEST_CASE("endurance: an engine on the CPU that is opened and closed a hundred times leaves nothing behind") { check_open_and_close("cpu", 100, 3u << 20); }

TEST_CASE("endurance: an engine on the GPU that is opened and closed over and over leaves nothing behind") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  check_open_and_close("vulkan", 20, 8u << 20);
}

TEST_CASE("endurance: the VRAM budget changes a thousand times and no token does") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  hotset::EngineOptions plain;
  plain.model_path = *hotset::shipped_model_path();
  plain.device = "vulkan";
  plain.context_tokens = 64;
  plain.batch_tokens = 16;
  const uint64_t least = hotset::test::least_vram_bytes(plain);
  api::options options;
  options.set("device", "vulkan").set("ctx", "64").set("batch", "16").set("temp", "0").set("miss", "gpu").set("vram", std::to_string(least + (12u << 20)));
  api::engine engine({}, options);
  api::session session(engine);
  check_changes(session, engine.tokenize("Once upon a time"), [&](uint32_t i) { engine.set_vram(least + (uint64_t{1 + (i * 5) % 12} << 20)); });
  CHECK(session.stats().vram_peak_bytes <= least + (12u << 20));
}

TEST_CASE("endurance: the RAM budget changes a thousand times and no token does") {
  hotset::EngineOptions plain;
  plain.model_path = *hotset::shipped_model_path();
  plain.device = "cpu";
  plain.context_tokens = 64;
  plain.batch_tokens = 16;
  const uint64_t least = least_ram_bytes(plain);
  api::options options;
  options.set("device", "cpu").set("ctx", "64").set("batch", "16").set("temp", "0").set("ram", std::to_string(least + (2u << 20)));
  api::engine engine({}, options);
  api::session session(engine);
  check_changes(session, engine.tokenize("Once upon a time"), [&](uint32_t i) { engine.set_ram(least + (uint64_t{i % 4} << 20)); });
}
