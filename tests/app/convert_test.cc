// `hotset convert` as a user meets it.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/app/program.h"
#include "tests/engine/checkpoint_folder.h"
#include "tests/format/gguf_builder.h"
#include "tests/test_support.h"

TEST_CASE("program: convert makes a file of a folder, and others say how") {
  const hotset::test::TempFolder folder;
  const std::string checkpoint = folder.file("tiny");
  std::filesystem::create_directory(checkpoint);
  const auto model = hotset::GgufFile::open(hotset::test::data_path("models/qwen3moe-f32/model.gguf"));
  REQUIRE(model.ok());
  hotset::test::write_checkpoint(**model, {.model_type = "qwen3_moe"}, checkpoint);
  using hotset::test::run_hotset;
  const std::string out = folder.file("tiny.gguf");
  CHECK(run_hotset({"run", checkpoint, "-p", "a"}).err.find("hotset convert " + checkpoint) != std::string::npos);
  const auto converted = run_hotset({"convert", checkpoint, out, "--type", "Q4_0", "--json"});
  REQUIRE_MESSAGE(converted.exit_code == 0, converted.err);
  const auto report = nlohmann::json::parse(converted.out, nullptr, false);
  CHECK(report["type"] == "Q4_0");
  CHECK(report["file_bytes"] == std::filesystem::file_size(out));
  const auto inspected = run_hotset({"inspect", out, "--json"});
  CHECK(inspected.exit_code == 0);
  CHECK(inspected.out.find("qwen3moe") != std::string::npos);
  const auto again = run_hotset({"convert", checkpoint, out});
  CHECK(again.exit_code == 1);
  CHECK(again.err.find("exists already") != std::string::npos);
  CHECK(run_hotset({"convert", checkpoint, folder.file("x"), "--type", "Q9"}).exit_code == 2);
  CHECK(run_hotset({"convert", checkpoint}).exit_code == 2);
  CHECK(run_hotset({"convert", folder.file("none"), folder.file("x")}).err.find("is no folder") != std::string::npos);
}
