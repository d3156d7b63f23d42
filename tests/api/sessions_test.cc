// Several sessions on one engine, in one thread and in two; budgets that change meanwhile; sessions that are saved and forked.
#include <doctest/doctest.h>

#include <hotset/hotset.hpp>

#include <atomic>
#include <filesystem>
#include <thread>

#include "runtime/engine/engine.h"
#include "tests/api/tokens.h"
#include "tests/engine/model_rig.h"
#include "tests/temp_folder.h"
#include "tests/test_support.h"

namespace api = hotset::api;
using hotset::test::go_on;
using hotset::test::has_device;
using hotset::test::told;

namespace {

constexpr const char* kStarts[] = {"Once upon a time", "The little dog"};

api::options small(const char* device) {
  api::options options;
  options.set("device", device).set("ctx", "64").set("batch", "16").set("temp", "0").set("miss", "gpu");
  return options;
}

// The least VRAM that the shipped model opens with, and some more.
std::string vram(uint64_t more_bytes) {
  hotset::EngineOptions options;
  options.model_path = *hotset::shipped_model_path();
  options.device = "vulkan";
  options.context_tokens = 64;
  options.batch_tokens = 16;
  return std::to_string(hotset::test::least_vram_bytes(options) + more_bytes);
}

void check_two_sessions(const api::options& options) {
  const api::engine engine({}, options);
  std::vector<hotset_token> alone[2];
  for (int i = 0; i < 2; ++i) {
    api::session session(engine);
    alone[i] = told(session, engine.tokenize(kStarts[i]), 24);
  }
  CHECK(alone[0] != alone[1]);
  api::session sessions[2] = {api::session(engine), api::session(engine)};
  for (int i = 0; i < 2; ++i) CHECK(told(sessions[i], engine.tokenize(kStarts[i]), 24) == alone[i]);
  const uint64_t before = sessions[0].stats().decode_tokens;
  std::vector<hotset_token> beside[2];
  std::thread threads[2];
  for (int i = 0; i < 2; ++i) {
    threads[i] = std::thread([&, i] { beside[i] = told(sessions[i], engine.tokenize(kStarts[i]), 24); });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 2; ++i) CHECK(beside[i] == alone[i]);
  CHECK(sessions[0].stats().decode_tokens == before + 24);
  CHECK(sessions[0].stats().decode_lookups == sessions[1].stats().decode_lookups);  // each counts its own
}

}  // namespace

TEST_CASE("sessions: two on one engine give each the tokens that it gives alone, on the CPU") { check_two_sessions(small("cpu")); }

TEST_CASE("sessions: two on one engine give each the tokens that it gives alone, on the GPU under a small budget") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  check_two_sessions(small("vulkan").set("vram", vram(6u << 20)));
}

TEST_CASE("sessions: each takes its context out of the VRAM budget, and gives it back") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  api::options options = small("vulkan");
  options.set("vram", vram(4u << 20));
  const api::engine engine({}, options);
  api::session first(engine);
  const auto prompt = engine.tokenize(kStarts[0]);
  const auto reference = told(first, prompt, 12);
  const uint64_t alone_bytes = first.stats().vram_used_bytes;
  std::vector<api::session> more;
  bool refused = false;
  for (int i = 0; i < 64 && !refused; ++i) {
    try {
      more.emplace_back(engine);
      CHECK(told(more.back(), prompt, 12) == reference);
    } catch (const api::error& error) {
      CHECK(error.code() == HOTSET_OVER_BUDGET);
      CHECK(std::string(error.what()).find("room for another session") != std::string::npos);
      refused = true;
    }
    const hotset_stats stats = first.stats();
    CHECK(stats.vram_peak_bytes <= stats.vram_budget_bytes);
  }
  CHECK(refused);
  CHECK(more.size() > 1);
  CHECK(told(first, prompt, 12) == reference);
  more.clear();
  // Slots take their place again, in whole slabs.
  const hotset_stats after = first.stats();
  CHECK(after.vram_used_bytes <= after.vram_budget_bytes);
  CHECK(after.vram_used_bytes + (1u << 20) >= alone_bytes);
  CHECK(told(first, prompt, 12) == reference);
}

TEST_CASE("sessions: budgets that change while tokens are made change none of them") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  api::options options = small("vulkan");
  const uint64_t least = std::stoull(vram(0));
  options.set("vram", std::to_string(least + (12u << 20)));
  api::engine engine({}, options);
  api::session session(engine);
  const auto prompt = engine.tokenize(kStarts[0]);
  const auto reference = told(session, prompt, 24);
  std::atomic<bool> done{false};
  uint64_t changes = 0;
  std::thread other([&] {
    for (uint64_t i = 0; !done || i < 8; ++i, ++changes) engine.set_vram(least + ((1 + (i * 5) % 12) << 20));
  });
  for (int round = 0; round < 4; ++round) CHECK(told(session, prompt, 24) == reference);
  done = true;
  other.join();
  CHECK(changes >= 8);
}

TEST_CASE("sessions: under memory pressure VRAM comes back at once, down to the least") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  api::options options = small("vulkan");
  options.set("vram", vram(12u << 20));
  api::engine engine({}, options);
  api::session session(engine);
  const auto prompt = engine.tokenize(kStarts[0]);
  const auto reference = told(session, prompt, 12);
  const uint64_t before = session.stats().vram_used_bytes;
  const uint64_t freed = engine.give_vram_back(2u << 20);
  CHECK(freed >= (2u << 20));
  CHECK(session.stats().vram_used_bytes == before - freed);
  CHECK(told(session, prompt, 12) == reference);
  CHECK(engine.give_vram_back(UINT64_MAX) > 0);
  CHECK(session.stats().vram_used_bytes > 0);
  CHECK(told(session, prompt, 12) == reference);
  CHECK(engine.give_vram_back(1) == 0);
  CHECK_THROWS_AS(api::engine({}, small("cpu")).give_vram_back(1), api::error);
}

TEST_CASE("sessions: a saved one goes on in another engine, and a fork by itself") {
  const hotset::test::TempFolder folder;
  const std::string path = folder.file("state");
  std::vector<hotset_token> expected;
  std::vector<std::byte> bytes;
  {
    const api::engine engine({}, small("cpu"));
    api::session session(engine, small("cpu").set("temp", "0.8").set("seed", "5"));
    const auto prompt = engine.tokenize(kStarts[0]);
    session.feed(prompt);
    CHECK(session.tokens() == prompt);
    session.save(path);
    bytes = session.save_bytes();
    CHECK(bytes.size() == std::filesystem::file_size(path));
    api::session fork = session.fork();
    expected = go_on(session, 12);
    CHECK(go_on(fork, 12) == expected);
    CHECK(session.position() == prompt.size() + 12);
  }
  const api::engine engine({}, small("cpu"));
  api::session session(engine);
  session.load(path);
  CHECK(go_on(session, 12) == expected);
  session.load_bytes(bytes);
  CHECK(go_on(session, 12) == expected);
  bytes.resize(bytes.size() / 2);
  CHECK_THROWS_AS(session.load_bytes(bytes), api::error);
  CHECK(session.position() > 0);
  const api::engine other({}, small("cpu").set("kv-type", "f32"));
  api::session refuses(other);
  try {
    refuses.load_bytes(session.save_bytes());
    FAIL_CHECK("a state of another KV type was loaded");
  } catch (const api::error& error) {
    CHECK(error.code() == HOTSET_INVALID_ARGUMENT);
    CHECK(std::string(error.what()).find("--kv-type f16") != std::string::npos);
  }
}
