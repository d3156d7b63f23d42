#include "runtime/engine/heatmap.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "platform/file.h"
#include "runtime/engine/routing_text.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

std::string temporary(const char* name) { return (std::filesystem::temp_directory_path() / name).string(); }

const std::string kHeader = "# MOETRACE 1\n# model: a model   moe_layers: 2   experts: 8 (+1 shared)   top_k: 2\n";

}  // namespace

TEST_CASE("routing text: header and tokens") {
  const auto trace = RoutingText::parse(kHeader + "# kind: none\n0\t0\tp\t0,1|7,2\r\n\n0\t1\td\t3,1|2\n");
  REQUIRE_MESSAGE(trace.ok(), trace.status().message());
  CHECK(trace->model() == "a model");
  CHECK(trace->layers() == 2);
  CHECK(trace->experts() == 8);
  CHECK(trace->top_k() == 2);
  REQUIRE(trace->tokens() == 2);
  CHECK(trace->ids(0, 1).size() == 2);
  CHECK(trace->ids(0, 1)[0] == 7);
  CHECK(trace->ids(1, 0)[1] == 1);
  CHECK(trace->ids(1, 1).size() == 1);
  const auto bare = RoutingText::parse("# MOETRACE 1\n0\t0\td\t5\n");
  REQUIRE(bare.ok());
  CHECK(bare->experts() == 6);
}

TEST_CASE("routing text: broken ones name the line and what is wrong") {
  struct Row {
    std::string text;
    const char* says;
  };
  const Row rows[] = {
      {"", "not a routing trace"},
      {"MOETRC01\x01\x02", "not a routing trace"},
      {kHeader, "no tokens"},
      {kHeader + "0\t0\td\n", "line 3: not a token"},
      {kHeader + "0\t0\td\t1,2|3,x\n", "line 3: 'x' is not an expert"},
      {kHeader + "0\t0\td\t1,2|3,-1\n", "'-1' is not an expert"},
      {kHeader + "0\t0\td\t1,2|3,99999999999\n", "is not an expert"},
      {kHeader + "0\t0\td\t1,2|3,\n0\t1\td\t1,1|2\n", "line 4: expert 1 twice"},
      {kHeader + "0\t0\td\t1,2|\n0\t1\td\t\n", "line 4: a token without layers"},
      {kHeader + "0\t0\td\t1||2\n", "a layer without experts"},
      {kHeader + "0\t0\td\t1|2\n0\t1\td\t1|2|3\n", "line 4: 3 layers, where earlier tokens have 2"},
      {kHeader + "0\t0\td\t1|2|3\n", "the header speaks of 2 layers and the tokens have 3"},
      {kHeader + "0\t0\td\t1|8\n", "expert 8, where the header speaks of 8"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto trace = RoutingText::parse(row.text);
    REQUIRE_FALSE(trace.ok());
    CHECK(trace.status().code() == Code::kCorrupt);
    CHECK_MESSAGE(trace.status().message().find(row.says) != std::string::npos, trace.status().message());
  }
}

TEST_CASE("heatmap: draws the shipped trace, with the hit rate that a run would have") {
  HeatmapOptions options;
  options.trace_path = test::model_path("traces/heldout.trace.txt");
  options.picture_path = temporary("hotset_heatmap.png");
  options.policy = "lru";
  const auto report = draw_heatmap(options);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  CHECK(report->layers == 5);
  CHECK(report->experts == 32);
  CHECK(report->top_k == 2);
  CHECK(report->tokens == 4096);
  CHECK(report->slots == 40);
  // The model card's figure for LRU at 25 %, as in the replay tests.
  CHECK(report->hit_rate > 0.23);
  CHECK(report->hit_rate < 0.29);
  const auto png = read_whole_file(options.picture_path, 1 << 24);
  REQUIRE(png.ok());
  CHECK(png->substr(1, 3) == "PNG");
  options.capacity = 1;
  CHECK(draw_heatmap(options)->hit_rate > 0.99);
  std::filesystem::remove(options.picture_path);
}

TEST_CASE("heatmap: what it cannot do it says") {
  HeatmapOptions options;
  options.trace_path = test::model_path("traces/heldout.trace.txt");
  options.picture_path = temporary("hotset_heatmap_refused.png");
  options.capacity = 0.05;
  CHECK(draw_heatmap(options).status().code() == Code::kInvalidArgument);
  CHECK(draw_heatmap(options).status().message().find("at least 6.25 %") != std::string::npos);
  options.capacity = 0.5;
  options.policy = "coin";
  CHECK(draw_heatmap(options).status().code() == Code::kInvalidArgument);
  options.policy = "lru";
  options.trace_path = "/nowhere.trace.txt";
  CHECK(draw_heatmap(options).status().code() == Code::kNotFound);
  options.trace_path = test::model_path("heldout.txt");
  CHECK(draw_heatmap(options).status().code() == Code::kCorrupt);
  CHECK_FALSE(file_exists(options.picture_path));
}
