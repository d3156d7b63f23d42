// `hotset plan` as a user meets it.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/app/program.h"
#include "tests/test_support.h"

namespace {

using hotset::test::ProgramResult;
using hotset::test::run_hotset;
using hotset::test::TemporaryFile;
using nlohmann::json;

json plan(std::vector<std::string> args) {
  args.insert(args.begin(), "plan");
  args.push_back("--json");
  const ProgramResult result = run_hotset(args);
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  const json object = json::parse(result.out, nullptr, false);
  REQUIRE(object.is_object());
  return object;
}

const char* const kLinks = R"({"hotset_links": 1, "device": "a card", "device_bytes_per_s": 2e11, "copy_bytes_per_s": 2e10, "copy_ns": 20000,
                               "cpu_bytes_per_s": 4e10, "ram_bytes_per_s": 6e10, "stop_ns": 100000})";

}  // namespace

TEST_CASE("program: plan picks a quantisation and says where it goes") {
  const json object = plan({"--shape", "qwen3-30b-a3b", "--gpu", "RTX 3060 12GB", "--ram", "24G"});
  CHECK(object["take"].is_string());
  CHECK(object["quant"] == object["take"]);
  CHECK(object["quants"].size() > 4);
  REQUIRE(object["contexts"].size() >= 2);
  const json& first = object["contexts"][0];
  CHECK(first["fits"] == true);
  CHECK(first["tokens_per_s"].get<double>() >= 7);
  CHECK(first["vram_expert_bytes"].get<uint64_t>() < object["machine"]["vram_bytes"].get<uint64_t>());
  CHECK(first["ram_expert_bytes"].get<uint64_t>() <= 24ull << 30);
  CHECK(object["by_hit_rate"].back()["tokens_per_s"].get<double>() > object["by_hit_rate"].front()["tokens_per_s"].get<double>());
}

TEST_CASE("program: plan reads for people too") {
  const ProgramResult text = run_hotset({"plan", "--shape", "Kimi K2", "--gpu", "rtx5090", "--ram", "64G", "--quant", "q4_k", "--ctx", "4096,8192"});
  CHECK(text.exit_code == 0);
  for (const char* says :
       {"Kimi K2 as Q4_K: 1.03 T parameters", "\nfits       yes", "\nVRAM ", "\nRAM ", "\ndisk ", "\nmisses ", "    4096 ", "    8192 ", " disk\n"}) {
    CAPTURE(says);
    CHECK(text.out.find(says) != std::string::npos);
  }
  const ProgramResult none = run_hotset({"plan", "--shape", "kimi-k2", "--gpu", "RTX 2060", "--ram", "64G"});
  CHECK(none.exit_code == 0);
  CHECK(none.out.find("none: no quantisation fits") != std::string::npos);
  CHECK(none.out.find("\nfits       no: at least ") != std::string::npos);
  const ProgramResult list = run_hotset({"plan", "--list"});
  CHECK(list.exit_code == 0);
  for (const char* name : {"deepseek-v2-lite", "RX 9070 XT", "Strix Halo", "Q4_K_M"}) CHECK(list.out.find(name) != std::string::npos);
}

TEST_CASE("program: plan takes a file, and rates from a file") {
  const TemporaryFile links(kLinks);
  const std::string model = hotset::test::model_path("storyteller-35m-q4_k_m.gguf");
  const json object = plan({model, "--links", links.path(), "--vram", "18M", "--ram", "1G", "--ctx", "512"});
  CHECK(object["machine"]["name"] == "a card");
  CHECK(object["machine"]["rates_are_measured"] == true);
  CHECK(object["quants"].empty());
  REQUIRE(object["contexts"].size() == 1);
  const json& context = object["contexts"][0];
  CHECK(context["fits"] == true);
  CHECK(context["disk_expert_bytes"] == 0);
  const double share = context["vram_expert_share"].get<double>();
  CHECK(share > 0.02);
  CHECK(share < 1);
  // The least that works agrees with what inspect says of the file, up to what only a device knows.
  const json report = json::parse(run_hotset({"inspect", model, "--json"}).out, nullptr, false);
  const json defaults = plan(
      {model, "--links", links.path(), "--vram", "1G", "--ram", "1G", "--ctx", std::to_string(std::min(4096, report["context_tokens"].get<int>()))});
  CHECK(defaults["contexts"][0]["least_vram_bytes"].get<double>() == doctest::Approx(report["least_vram_bytes"].get<double>()).epsilon(0.01));
}

TEST_CASE("program: plan refuses what it does not know, in one line") {
  struct Row {
    std::vector<std::string> args;
    const char* says;
  };
  const TemporaryFile broken("{");
  const TemporaryFile links(kLinks);
  const std::vector<Row> rows = {
      {{"plan", "--shape", "qwen3-30b", "--gpu", "RTX 3060 12GB", "--ram", "32G"}, "did you mean qwen3-30b-a3b"},
      {{"plan", "--shape", "qwen3-30b-a3b", "--gpu", "RTX 3060 13GB", "--ram", "32G"}, "did you mean RTX 3060 12GB"},
      {{"plan", "--shape", "qwen3-30b-a3b", "--gpu", "RTX 3060", "--ram", "32G", "--quant", "Q4"}, "'Q4' is not a quantisation"},
      {{"plan", "--shape", "qwen3-30b-a3b", "--gpu", "RTX 3060", "--ram", "lots"}, "--ram"},
      {{"plan", "--shape", "qwen3-30b-a3b", "--gpu", "RTX 3060", "--ram", "50%"}, "--ram"},
      {{"plan", "--shape", "qwen3-30b-a3b", "--gpu", "RTX 3060", "--ram", "32G", "--vram", "13G"}, "--vram"},
      {{"plan", "--shape", "qwen3-30b-a3b", "--gpu", "RTX 3060", "--ram", "32G", "--ram-rate", "0"}, "--ram-rate"},
      {{"plan", "--shape", "qwen3-30b-a3b", "--links", broken.path(), "--vram", "8G", "--ram", "32G"}, "not JSON"},
      {{"plan", "/nowhere.gguf", "--gpu", "RTX 3060", "--ram", "32G"}, "/nowhere.gguf"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.args);
    const ProgramResult result = run_hotset(row.args);
    CHECK(result.exit_code != 0);
    CHECK(result.out.empty());
    CHECK(result.err.find(row.says) != std::string::npos);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
}
