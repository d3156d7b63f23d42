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

// Pictures with a panel for links are higher: the height stands in bytes 20 to 23 of a PNG.
TEST_CASE("heatmap: transfers of a trace and of a run get a panel") {
  const auto height_of = [](const std::string& path) {
    const auto png = read_whole_file(path, 1 << 24);
    REQUIRE(png.ok());
    const auto* bytes = reinterpret_cast<const unsigned char*>(png->data()) + 20;
    return bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
  };
  HeatmapOptions options;
  options.trace_path = temporary("hotset_heatmap_in.txt");
  options.picture_path = temporary("hotset_heatmap_links.png");
  options.capacity = 1;
  const std::string routing = "# MOETRACE 1\n# model: m   moe_layers: 1   experts: 4   top_k: 1\n0\t0\td\t1\n";
  REQUIRE(write_whole_file(options.trace_path, routing).ok());
  REQUIRE(draw_heatmap(options).ok());
  const int plain = height_of(options.picture_path);
  REQUIRE(write_whole_file(options.trace_path, routing + "# link h2d 0 1 4096 1000 2000\n").ok());
  const auto traced = draw_heatmap(options);
  REQUIRE(traced.ok());
  CHECK(traced->transfers == 1);
  CHECK(height_of(options.picture_path) > plain);
  const auto run_with = [&](const char* bytes) {
    return std::string(R"({"model": "m", "history": {"layers": 1, "experts": 4, "experts_used": 1, "uses": [0, 2, 0, 1], "stretches": [)") +
           R"({"tokens": 3, "ns": 1000000, "lookups": 4, "hits": 1, "disk_to_host_bytes": 0, "host_to_device_bytes": )" + bytes + "}]}}";
  };
  REQUIRE(write_whole_file(options.trace_path, run_with("0")).ok());
  const auto run = draw_heatmap(options);
  REQUIRE_MESSAGE(run.ok(), run.status().message());
  CHECK(run->tokens == 3);
  CHECK(run->hit_rate == doctest::Approx(0.25));
  CHECK(height_of(options.picture_path) == plain);
  REQUIRE(write_whole_file(options.trace_path, run_with("4096")).ok());
  REQUIRE(draw_heatmap(options).ok());
  CHECK(height_of(options.picture_path) > plain);
  std::filesystem::remove(options.trace_path);
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
