// What a session keeps of its tokens for a picture, and that history as JSON.
#include "runtime/engine/run_stats.h"

#include <doctest/doctest.h>

using namespace hotset;

namespace {

const std::string kStretch = R"({"tokens": 2, "ns": 10, "lookups": 4, "hits": 3, "host_to_device_bytes": 5, "disk_to_host_bytes": 0})";

std::string json_with(const std::string& uses, const std::string& stretches) {
  return R"({"model": "m", "history": {"layers": 1, "experts": 3, "experts_used": 2, "uses": )" + uses + R"(, "stretches": )" + stretches + "}}";
}

}  // namespace

TEST_CASE("run history: stretches grow with the run, and nothing is lost") {
  RunHistory history(2, 4, 2);
  const uint16_t ids[] = {1, 3, 9};
  const uint32_t tokens = 10 * RunHistory::kMostStretches + 7;
  for (uint32_t i = 0; i < tokens; ++i) {
    history.use(1, ids);
    history.token({1, 10, 4, 3, 100, 1});
    CHECK(history.stretches().size() <= RunHistory::kMostStretches);
  }
  CHECK(history.uses()[4 + 1] == tokens);
  CHECK(history.uses()[4 + 3] == tokens);
  CHECK(history.uses()[1] == 0);
  RunStretch sum;
  for (const RunStretch& stretch : history.stretches()) sum.add(stretch);
  CHECK(sum.tokens == tokens);
  CHECK(sum.ns == 10ull * tokens);
  CHECK(sum.hits == 3ull * tokens);
  CHECK(sum.host_to_device_bytes == 100ull * tokens);
  for (size_t i = 0; i + 1 < history.stretches().size(); ++i) CHECK(history.stretches()[i].tokens == history.stretches()[0].tokens);
}

TEST_CASE("run stats: good ones") {
  CHECK(looks_like_json(" \n{}"));
  CHECK_FALSE(looks_like_json("# MOETRACE 1\n"));
  CHECK_FALSE(looks_like_json(""));
  const auto stats = parse_run_stats(json_with("[1, 0, 3]", "[" + kStretch + "," + kStretch + "]"));
  REQUIRE_MESSAGE(stats.ok(), stats.status().message());
  CHECK(stats->model == "m");
  CHECK(stats->uses == std::vector<uint64_t>{1, 0, 3});
  REQUIRE(stats->stretches.size() == 2);
  CHECK(stats->stretches[1].hits == 3);
}

TEST_CASE("run stats: broken ones say what is wrong") {
  struct Row {
    std::string text;
    const char* says;
  };
  const Row rows[] = {
      {"{", "not JSON"},
      {"[]", "not JSON"},
      {R"({"figures": {}})", "no 'history'"},
      {R"({"history": {}})", "'layers'"},
      {R"({"history": {"layers": 0, "experts": 3, "experts_used": 2}})", "of no model"},
      {R"({"history": {"layers": 4000, "experts": 60000, "experts_used": 2}})", "of no model"},
      {R"({"history": {"layers": 1, "experts": 3, "experts_used": 4}})", "'experts_used'"},
      {json_with("[1, 0]", "[" + kStretch + "]"), "does not count 3 experts"},
      {json_with("[1, 0, -3]", "[" + kStretch + "]"), "is no number"},
      {json_with("[1, 0, 1.5]", "[" + kStretch + "]"), "is no number"},
      {json_with("[1, 0, 3]", "[]"), "no tokens"},
      {json_with("[1, 0, 3]", "[7]"), "a stretch of the run's history is none"},
      {json_with("[1, 0, 3]", R"([{"tokens": 1, "ns": 1, "lookups": 4, "hits": 5}])"), "'hits'"},
      {json_with("[1, 0, 3]", R"([{"tokens": 1, "ns": 1e300, "lookups": 4, "hits": 4}])"), "'ns'"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto stats = parse_run_stats(row.text);
    REQUIRE_FALSE(stats.ok());
    CHECK(stats.status().code() == Code::kCorrupt);
    CHECK_MESSAGE(stats.status().message().find(row.says) != std::string::npos, stats.status().message());
  }
}
