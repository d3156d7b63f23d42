// Opens models through engine.h for tests, reads the expected results beside fixtures and compares logits.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "platform/file.h"
#include "runtime/engine/engine.h"
#include "tests/test_support.h"

namespace hotset::test {

inline nlohmann::json read_json(const std::string& path) {
  const auto text = read_whole_file(path, 64u << 20);
  REQUIRE_MESSAGE(text.ok(), text.status().message());
  return nlohmann::json::parse(*text);
}

inline std::vector<float> read_floats(const std::string& path) {
  const auto bytes = read_whole_file(path, 256u << 20);
  REQUIRE_MESSAGE(bytes.ok(), bytes.status().message());
  std::vector<float> values(bytes->size() / sizeof(float));
  std::copy_n(bytes->data(), values.size() * sizeof(float), reinterpret_cast<char*>(values.data()));
  return values;
}

// sum (a-b)^2 / sum b^2; b is the reference.
inline double nmse(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0;
  double square = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += d * d;
    square += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return difference / square;
}

// On the Vulkan device, unless the options name another.
inline std::unique_ptr<Engine> open_engine(EngineOptions options) {
  if (options.device == "auto") options.device = "vulkan";
  auto engine = Engine::open(options);
  REQUIRE_MESSAGE(engine.ok(), engine.status().message());
  return std::move(engine).value();
}

inline std::unique_ptr<Session> open_session(Engine& engine) {
  auto session = engine.create_session();
  REQUIRE_MESSAGE(session.ok(), session.status().message());
  REQUIRE(session.value()->set_sampler({.seed = 1, .temperature = 0}).ok());
  return std::move(session).value();
}

// Logits of every position, [tokens][vocab]; as one prompt or token by token.
inline std::vector<float> all_logits(Session& session, const std::vector<TokenId>& tokens, bool one_by_one) {
  std::vector<float> out;
  const LogitsSink sink = [&](uint32_t, std::span<const float> logits) { out.insert(out.end(), logits.begin(), logits.end()); };
  if (!one_by_one) {
    const Status fed = session.feed(tokens, sink);
    REQUIRE_MESSAGE(fed.ok(), fed.message());
    return out;
  }
  for (const TokenId& token : tokens) {
    const Status fed = session.feed({&token, 1}, sink);
    REQUIRE_MESSAGE(fed.ok(), fed.message());
  }
  return out;
}

// Feeds `prompt`, then picks and feeds `count` tokens greedily.
inline std::vector<TokenId> greedy(Session& session, const std::vector<TokenId>& prompt, size_t count) {
  std::vector<TokenId> out;
  REQUIRE(session.feed(prompt).ok());
  while (out.size() < count) {
    out.push_back(session.sample());
    if (out.size() == count) break;
    const Status fed = session.feed({&out.back(), 1});
    REQUIRE_MESSAGE(fed.ok(), fed.message());
  }
  return out;
}

// The least budget that the engine names when asked for none.
inline uint64_t least_vram_bytes(EngineOptions options) {
  options.vram = ByteSize{0, 0, false};
  const auto engine = Engine::open(options);
  REQUIRE_FALSE(engine.ok());
  const std::string& message = engine.status().message();
  const size_t open = message.rfind(" bytes)");
  REQUIRE_MESSAGE(open != std::string::npos, message);
  const size_t begin = message.rfind('(', open) + 1;
  return std::strtoull(message.c_str() + begin, nullptr, 10);
}

// Whether this machine has a device that models can run on.
inline bool has_device() {
  const auto devices = list_devices();
  if (!devices.ok()) return false;
  for (const DeviceReport& device : *devices) {
    if (device.usable) return true;
  }
  return false;
}

}  // namespace hotset::test
