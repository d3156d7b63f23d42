// `hotset heatmap` as a user meets it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/app/program.h"
#include "tests/test_support.h"

using hotset::test::ProgramResult;
using hotset::test::run_hotset;
using hotset::test::TemporaryFile;

TEST_CASE("program: heatmap draws a trace") {
  const TemporaryFile picture("");
  const std::string trace = hotset::test::model_path("traces/generated.trace.txt");
  const ProgramResult text = run_hotset({"heatmap", trace, "-o", picture.path(), "--capacity", "50%", "--policy", "lru"});
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("2048 tokens, 5 layers of 32 experts; lru with 80 slots: ") == 0);
  CHECK(picture.content().substr(1, 3) == "PNG");
  const ProgramResult result = run_hotset({"heatmap", trace, "-o", picture.path(), "--json"});
  const auto object = nlohmann::json::parse(result.out, nullptr, false);
  REQUIRE(object.is_object());
  CHECK(object["tokens"] == 2048);
  CHECK(object["hit_rate"].get<double>() > 0.2);
  for (const char* capacity : {"1G", "2%", "-5%", "x", "101%"}) {
    CAPTURE(capacity);
    const ProgramResult refused = run_hotset({"heatmap", trace, "-o", picture.path(), "--capacity", capacity});
    CHECK(refused.exit_code != 0);
    CHECK(refused.out.empty());
    CHECK(!refused.err.empty());
  }
  CHECK(run_hotset({"heatmap", trace}).err.find("--output") != std::string::npos);
  CHECK(run_hotset({"heatmap", picture.path(), "-o", picture.path()}).err.find("not a routing trace") != std::string::npos);
  CHECK(run_hotset({"heatmap", trace, "-o", "/nowhere/at/all.png"}).exit_code != 0);
}
