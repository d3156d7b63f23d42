// `hotset pack` as a user meets it: written, checked, refused, stopped.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/app/program.h"
#include "tests/format/gguf_builder.h"
#include "tests/temp_folder.h"
#include "tests/test_support.h"

namespace {

using hotset::test::run_hotset;
using nlohmann::json;

const std::string& model() {
  static const std::string path = hotset::test::model_path("storyteller-35m-q4_k_m.gguf");
  return path;
}

}  // namespace

TEST_CASE("program: pack writes a side file and checks it") {
  const hotset::test::TempFolder folder;
  const std::string out = folder.file("model.pack");
  const auto packed = run_hotset({"pack", model(), out, "--json"});
  REQUIRE_MESSAGE(packed.exit_code == 0, packed.err);
  const json object = json::parse(packed.out, nullptr, false);
  CHECK(object["experts"] == 32);
  CHECK(object["file_bytes"].get<uint64_t>() == std::filesystem::file_size(out));
  CHECK(object["file_bytes"].get<uint64_t>() > object["expert_bytes"].get<uint64_t>());
  CHECK_FALSE(hotset::test::has_partial(out));
  const auto checked = run_hotset({"pack", model(), out, "--check"});
  CHECK(checked.exit_code == 0);
  CHECK(checked.out.find("whole") != std::string::npos);

  std::filesystem::resize_file(out, 100'000);
  const auto cut = run_hotset({"pack", model(), out, "--check"});
  CHECK(cut.exit_code == 1);
  CHECK(cut.err.find("cut off") != std::string::npos);
}

TEST_CASE("program: pack refuses what it must not write over or cannot read") {
  const hotset::test::TempFolder folder;
  const std::string letter = folder.write("letter", "dear");
  CHECK(run_hotset({"pack", model(), letter}).exit_code == 1);
  CHECK(run_hotset({"pack", letter, folder.file("out")}).exit_code == 1);
  CHECK_FALSE(std::filesystem::exists(folder.file("out")));
  CHECK(run_hotset({"pack", model(), model()}).err.find("is the model itself") != std::string::npos);
  CHECK(run_hotset({"pack", model(), letter, "--check"}).err.find("not a pack file") != std::string::npos);
  CHECK(run_hotset({"pack", model()}).exit_code == 2);
}
