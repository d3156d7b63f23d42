#include "runtime/engine/heatmap.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "platform/file.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

std::string temporary(const char* name) { return (std::filesystem::temp_directory_path() / name).string(); }

}  // namespace

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
