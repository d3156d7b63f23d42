// hotset_golden_check FOLDER...: runs fixtures (model.gguf and expect.json) every way and prints how far the logits are from the
// reference: for each device, whole prompt and token by token, at all and at the least memory, and whether the greedy tokens agree.
//
//   hotset_golden_check [--device cpu|vulkan] shared/golden/models/*
//
// The last line counts those within the limits of the fixtures' README; on the CPU, whose activations are rounded to 8 bits, the median
// position counts, so that a router's near-tie that rounding tips is no failure.
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "tests/engine/fixture_run.h"

using namespace hotset;
using namespace hotset::test;

namespace {

// Prints one line; whether it is within the limit.
Result<bool> check(const ModelFixture& fixture, const std::string& name, const std::string& device, bool least) {
  EngineOptions options = fixture_options(fixture, device);
  if (least) HOTSET_RETURN_IF_ERROR(give_least_memory(options));
  HOTSET_ASSIGN(const FixtureDistance distance, run_fixture(fixture, options));
  const bool rounded = device == "cpu";
  const bool fine = rounded ? distance.median <= most_rounded_nmse(fixture) : is_exact(fixture, distance);
  std::printf("%-22s %-6s %-5s whole %.1e  single %.1e  median %.1e  greedy %s  %s\n", name.c_str(), device.c_str(), least ? "least" : "all",
              distance.whole, distance.single, distance.median, distance.same_greedy ? "same" : "DIFFERS", fine ? "" : "FAR");
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
    const std::string name = std::filesystem::path(argv[i]).filename();
    const auto fixture = load_model_fixture(argv[i]);
    for (const std::string& device : devices) {
      for (const bool least : {false, true}) {
        if (least && device == "cpu") continue;
        const Result<bool> fine = fixture.ok() ? check(*fixture, name, device, least) : Result<bool>(fixture.status());
        if (!fine.ok()) std::printf("%-22s %-6s %s\n", name.c_str(), device.c_str(), fine.status().message().c_str());
        ++(fine.ok() && *fine ? passed : failed);
        std::fflush(stdout);
      }
    }
  }
  std::printf("%d within limits, %d not\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
