// hotset_golden_check FOLDER...: runs fixtures (model.gguf and expect.json) every way and prints how far the logits are from the
// reference: for each device, whole prompt and token by token, at all and at the least memory, and whether the greedy tokens agree.
//
//   hotset_golden_check [--device cpu|vulkan] shared/golden/models/*
//
// The last line counts those within the limits of the fixtures' README: 1e-5 on Vulkan, 3 times the reference's own 8-bit path (at least
// 1e-3) on the CPU, both with an F32 cache.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "platform/file.h"
#include "runtime/engine/engine.h"

using namespace hotset;

namespace {

struct Fixture {
  std::string folder;
  std::vector<TokenId> prompt;
  std::vector<TokenId> greedy;
  std::vector<float> logits;
  double native_nmse = 0;
  std::string gguf;
};

Result<Fixture> load(const std::string& folder) {
  HOTSET_ASSIGN(const auto text, read_whole_file(folder + "/expect.json", 64u << 20));
  const auto expect = nlohmann::json::parse(text, nullptr, false);
  if (expect.is_discarded()) return error(Code::kCorrupt, "'%s/expect.json' is no JSON", folder.c_str());
  Fixture fixture;
  fixture.folder = folder;
  fixture.prompt = expect["prompt"].get<std::vector<TokenId>>();
  fixture.greedy = expect["greedy"].get<std::vector<TokenId>>();
  fixture.native_nmse = expect["distances"]["cpu_native_vs_ref"]["nmse"].get<double>();
  fixture.gguf = folder + "/" + expect["gguf"].get<std::string>();
  HOTSET_ASSIGN(const auto bytes, read_whole_file(folder + "/" + expect["files"]["logits"].get<std::string>(), 256u << 20));
  fixture.logits.resize(bytes.size() / sizeof(float));
  std::memcpy(fixture.logits.data(), bytes.data(), fixture.logits.size() * sizeof(float));
  return fixture;
}

double nmse(const std::vector<float>& a, const std::vector<float>& b) {
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

Result<std::vector<float>> all_logits(Session& session, std::span<const TokenId> tokens, size_t step) {
  std::vector<float> out;
  const LogitsSink sink = [&](uint32_t, std::span<const float> logits) { out.insert(out.end(), logits.begin(), logits.end()); };
  session.rewind(0);
  for (size_t i = 0; i < tokens.size(); i += step) HOTSET_RETURN_IF_ERROR(session.feed(tokens.subspan(i, std::min(step, tokens.size() - i)), sink));
  return out;
}

Result<bool> greedy_agrees(Session& session, const Fixture& fixture) {
  session.rewind(0);
  HOTSET_RETURN_IF_ERROR(session.feed(fixture.prompt, {}));
  for (const TokenId expected : fixture.greedy) {
    const TokenId token = session.sample();
    if (token != expected) return false;
    HOTSET_RETURN_IF_ERROR(session.feed({&token, 1}, {}));
  }
  return true;
}

// Prints one line; whether it is within the limit.
Result<bool> check(const Fixture& fixture, const std::string& device, bool least) {
  EngineOptions options;
  options.model_path = fixture.gguf;
  options.device = device;
  options.kv_type = KvType::kF32;
  options.context_tokens = static_cast<uint32_t>(fixture.prompt.size() + fixture.greedy.size() + 2);
  if (least) {
    HOTSET_ASSIGN(const ModelReport report, inspect_model(fixture.gguf));
    options.vram = ByteSize{report.least_vram_bytes + (4u << 20), 0, false};
    options.batch_tokens = 7;
  }
  HOTSET_ASSIGN(const auto engine, Engine::open(options));
  HOTSET_ASSIGN(const auto session, engine->create_session());
  HOTSET_RETURN_IF_ERROR(session->set_sampler({.seed = 1, .temperature = 0}));
  HOTSET_ASSIGN(const auto whole, all_logits(*session, fixture.prompt, fixture.prompt.size()));
  HOTSET_ASSIGN(const auto single, all_logits(*session, fixture.prompt, 1));
  HOTSET_ASSIGN(const bool greedy, greedy_agrees(*session, fixture));
  const double limit = device == "cpu" ? std::max(1e-3, 3 * fixture.native_nmse) : 1e-5;
  const double worst = std::max(nmse(whole, fixture.logits), nmse(single, fixture.logits));
  const bool fine = worst <= limit && greedy;
  std::printf("%-22s %-6s %-5s whole %.1e  single %.1e  greedy %s  %s\n", std::filesystem::path(fixture.folder).filename().c_str(), device.c_str(),
              least ? "least" : "all", nmse(whole, fixture.logits), nmse(single, fixture.logits), greedy ? "same" : "DIFFERS", fine ? "" : "FAR");
  return fine;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> devices = {"vulkan", "cpu"};
  int passed = 0;
  int failed = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--device") == 0 && i + 1 < argc) {
      devices = {argv[++i]};
      continue;
    }
    if (!std::filesystem::is_directory(argv[i])) continue;
    const auto fixture = load(argv[i]);
    for (const std::string& device : devices) {
      for (const bool least : {false, true}) {
        if (least && device == "cpu") continue;
        const Result<bool> fine = fixture.ok() ? check(*fixture, device, least) : Result<bool>(fixture.status());
        if (!fine.ok()) std::printf("%-22s %-6s %s\n", std::filesystem::path(argv[i]).filename().c_str(), device.c_str(), fine.status().message().c_str());
        ++(fine.ok() && *fine ? passed : failed);
        std::fflush(stdout);
      }
    }
  }
  std::printf("%d within limits, %d not\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
