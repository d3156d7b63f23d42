// `hotset simulate` as a user meets it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/app/program.h"
#include "tests/test_support.h"

using hotset::test::ProgramResult;
using hotset::test::run_hotset;
using hotset::test::TemporaryFile;

namespace {

const std::string kTrace = hotset::test::model_path("traces/generated.trace.txt");

}  // namespace

TEST_CASE("program: simulate compares policies") {
  const ProgramResult text = run_hotset({"simulate", kTrace, "--policy", "lru,belady", "--capacity", "25%"});
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("2048 tokens, 5 layers of 32 experts, top 2; hit rates, one memory for all layers") != std::string::npos);
  CHECK(text.out.find("lru") < text.out.find("belady"));
  const ProgramResult result = run_hotset(
      {"simulate", kTrace, kTrace, "--policy", "lru,forecast,belady", "--capacity", "25%,50%", "--scope", "layer", "--json"});
  CHECK(result.exit_code == 0);
  const auto object = nlohmann::json::parse(result.out, nullptr, false);
  REQUIRE(object.is_object());
  CHECK(object["scope"] == "layer");
  REQUIRE(object["traces"].size() == 2);
  const auto& caches = object["traces"][1]["caches"];
  REQUIRE(caches.size() == 6);
  CHECK(caches[3]["policy"] == "lru");
  CHECK(caches[3]["capacity"] == 0.5);
  CHECK(caches[3]["slots"] == 80);
  CHECK(caches[3]["tokens_counted"] == 2048 - 64);
  const auto rate = [&](size_t i) { return caches[i]["forced"]["hit_rate"].get<double>(); };
  CHECK(rate(3) == doctest::Approx(0.596).epsilon(0.01));
  CHECK(rate(4) > rate(3));
  CHECK(rate(5) > rate(4));
  CHECK(caches[4]["gated"]["uploads_per_token"].get<double>() < caches[4]["forced"]["uploads_per_token"].get<double>());
  CHECK(!caches[0].contains("tokens_per_s"));
}

TEST_CASE("program: simulate estimates speed on given links") {
  const TemporaryFile links("{\"hotset_links\": 1, \"device_bytes_per_s\": 1e11, \"copy_bytes_per_s\": 1e9, \"cpu_bytes_per_s\": 1e10}");
  const ProgramResult result = run_hotset({"simulate", kTrace, "--policy", "lru", "--capacity", "25%,75%", "--links", links.path(),
                                           "--expert-size", "1M", "--json"});
  CHECK(result.exit_code == 0);
  const auto object = nlohmann::json::parse(result.out, nullptr, false);
  REQUIRE(object.is_object());
  const auto& caches = object["traces"][0]["caches"];
  CHECK(caches[0]["misses"] == "cpu");
  CHECK(caches[0]["tokens_per_s"].get<double>() > 100);
  CHECK(caches[1]["tokens_per_s"].get<double>() > caches[0]["tokens_per_s"].get<double>());
}

TEST_CASE("program: simulate refuses what it cannot replay") {
  const TemporaryFile broken("# MOETRACE 1\n0\t0\td\t1|x\n");
  const TemporaryFile bare("# MOETRACE 1\n");
  struct Row {
    std::vector<std::string> args;
    int exit_code;
    const char* says;
  };
  const Row rows[] = {
      {{"simulate"}, 2, "TRACE"},
      {{"simulate", "/nowhere.trace"}, 1, "/nowhere.trace"},
      {{"simulate", broken.path()}, 1, "line 2: 'x' is not an expert"},
      {{"simulate", kTrace, bare.path(), "--policy", "lru"}, 1, "no tokens"},
      {{"simulate", kTrace, "--policy", "lru,coin"}, 1, "'coin' is not a policy: forecast, lrfu"},
      {{"simulate", kTrace, "--capacity", "25"}, 1, "'25' is not a share"},
      {{"simulate", kTrace, "--capacity", "0%"}, 1, "'0%' is not a share"},
      {{"simulate", kTrace, "--scope", "room"}, 2, "room"},
      {{"simulate", kTrace, "--policy", "lru", "--warm", "2048"}, 1, "the trace has 2048"},
      {{"simulate", kTrace, "--links", "/nowhere.json"}, 2, "--expert-size"},
      {{"simulate", kTrace, "--links", "/nowhere.json", "--expert-size", "1M"}, 1, "/nowhere.json"},
      {{"simulate", kTrace, "--links", broken.path(), "--expert-size", "1M"}, 1, broken.path().c_str()},
  };
  for (const Row& row : rows) {
    CAPTURE(row.says);
    const ProgramResult result = run_hotset(row.args);
    CHECK(result.exit_code == row.exit_code);
    CHECK_MESSAGE(result.err.find(row.says) != std::string::npos, result.err);
  }
}
