// The C functions that need no engine: reports in both forms, packs, conversions, and what they say to wrong questions.
#include <doctest/doctest.h>

#include <filesystem>
#include <hotset/hotset.hpp>
#include <nlohmann/json.hpp>

#include "tests/engine/model_rig.h"
#include "tests/temp_folder.h"
#include "tests/test_support.h"

namespace api = hotset::api;
namespace fs = std::filesystem;
using hotset::test::has_device;
using hotset::test::TempFolder;
using nlohmann::json;

namespace {

int32_t append(void* user, const char* text, size_t bytes) {
  static_cast<std::string*>(user)->append(text, bytes);
  return 1;
}

hotset_plan_params usual_plan() {
  hotset_plan_params params = HOTSET_PLAN_PARAMS_INIT;
  params.shape = "qwen3-30b-a3b";
  params.gpu = "RTX 3060 12GB";
  params.ram = "24G";
  return params;
}

std::string refusal(const hotset_plan_params& params) {
  hotset_error said = HOTSET_ERROR_INIT;
  std::string report;
  const hotset_code code = hotset_report_plan(&params, HOTSET_TEXT, append, &report, &said);
  CHECK(code != HOTSET_OK);
  CHECK(report.empty());
  return said.message;
}

}  // namespace

TEST_CASE("tools: a model's report is text for people and JSON for programs") {
  const json report = json::parse(api::model_report({}, HOTSET_JSON));
  CHECK(report["experts"] == 32);
  CHECK(report["tensors"].size() > 10);
  const std::string text = api::model_report();
  CHECK(text.find(report["architecture"].get<std::string>()) != std::string::npos);
  CHECK(text.find("\ntensors\n") != std::string::npos);
  CHECK_THROWS_AS(api::model_report("/nonexistent/model.gguf"), api::error);
}

TEST_CASE("tools: plans say what they lack") {
  const json plan = json::parse(api::plan_report(usual_plan(), HOTSET_JSON));
  CHECK(plan["contexts"].size() >= 2);
  CHECK(json::parse(api::known_report(HOTSET_JSON))["shapes"].size() > 10);
  hotset_plan_params params = usual_plan();
  const uint32_t contexts[] = {4096, 8192, 1u << 14};
  params.contexts = contexts;
  params.context_count = 3;
  CHECK(json::parse(api::plan_report(params, HOTSET_JSON))["contexts"].size() == 3);
  params.contexts = nullptr;
  CHECK(refusal(params).find("contexts is NULL") == 0);
  CHECK(refusal(HOTSET_PLAN_PARAMS_INIT).find("a model file or a shape") != std::string::npos);
  params = usual_plan();
  params.gpu = nullptr;
  CHECK(refusal(params).find("gpu or links") != std::string::npos);
  params = usual_plan();
  params.ram = nullptr;
  CHECK(refusal(params).find("ram is needed") != std::string::npos);
  params.ram = "80%";
  CHECK(refusal(params).find("share") != std::string::npos);
  params = usual_plan();
  params.shape = "no such model";
  CHECK_FALSE(refusal(params).empty());
  const uint32_t none = 0;
  params = usual_plan();
  params.contexts = &none;
  params.context_count = 1;
  CHECK(refusal(params).find("context of 0") != std::string::npos);
  params.size = 3;
  CHECK(refusal(params).find("params.size is 3") == 0);
}

TEST_CASE("tools: a report needs a reader and a form, and may be refused") {
  std::string report;
  const auto refuse = [](void*, const char*, size_t) -> int32_t { return 0; };
  CHECK(hotset_report_known(HOTSET_TEXT, nullptr, nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_report_known(7, append, &report, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_report_known(HOTSET_TEXT, refuse, nullptr, nullptr) == HOTSET_CANCELLED);
  CHECK(hotset_report_plan(nullptr, HOTSET_TEXT, append, &report, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_report_simulation(nullptr, HOTSET_TEXT, append, &report, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(hotset_draw_heatmap(nullptr, HOTSET_TEXT, nullptr, nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
  CHECK(report.empty());
  CHECK(json::parse(api::devices_report(HOTSET_JSON)).is_array());
}

TEST_CASE("tools: what a session traces is simulated and drawn") {
  const TempFolder folder;
  const std::string trace = folder.file("run.trace"), picture = folder.file("run.png");
  {
    const api::engine engine({}, api::options().set("device", "cpu").set("ctx", "128").set("temp", "0"));
    api::session session(engine);
    session.trace(trace);
    session.generate(engine.tokenize("Once upon a time"), 80, {});
    session.trace({});
  }
  hotset_simulate_params params = HOTSET_SIMULATE_PARAMS_INIT;
  params.trace_path = trace.c_str();
  params.policies = "lru,belady";
  params.capacities = "25%,50%";
  const uint64_t warm = 8;
  params.warm_tokens = &warm;
  const json report = json::parse(api::simulation_report(params, HOTSET_JSON));
  REQUIRE(report["caches"].size() == 4);
  CHECK(report["caches"][1]["forced"]["hit_rate"].get<double>() >= report["caches"][0]["forced"]["hit_rate"].get<double>());
  CHECK(report["caches"][0]["tokens_counted"].get<uint64_t>() + warm == report["tokens"].get<uint64_t>());
  params.policies = "coin";
  CHECK_THROWS_AS(api::simulation_report(params), api::error);
  params = HOTSET_SIMULATE_PARAMS_INIT;
  CHECK_THROWS_AS(api::simulation_report(params), api::error);

  hotset_heatmap_params heatmap = HOTSET_HEATMAP_PARAMS_INIT;
  heatmap.trace_path = trace.c_str();
  CHECK_THROWS_AS(api::draw_heatmap(heatmap), api::error);
  heatmap.picture_path = picture.c_str();
  CHECK(api::draw_heatmap(heatmap).find("hits") != std::string::npos);
  CHECK(fs::file_size(picture) > 1000);
  heatmap.capacity = "12";
  CHECK_THROWS_AS(api::draw_heatmap(heatmap), api::error);
}

TEST_CASE("tools: a pack is written, checked, and told from others") {
  const TempFolder folder;
  const std::string model = hotset::test::model_path("storyteller-35m-q4_k_m.gguf"), out = folder.file("model.pack");
  hotset_pack_params params = HOTSET_PACK_PARAMS_INIT;
  params.model_path = model.c_str();
  params.pack_path = out.c_str();
  CHECK_THROWS_AS(api::pack(params, [](uint64_t, uint64_t) -> bool { throw std::length_error("no"); }), std::length_error);
  CHECK_FALSE(fs::exists(out));
  uint64_t last = 0;
  const hotset_pack_report written = api::pack(params, [&](uint64_t done, uint64_t total) {
    CHECK(done <= total);
    last = done;
    return true;
  });
  CHECK(last > 0);
  CHECK(written.experts == 32);
  CHECK(written.file_bytes == fs::file_size(out));
  params.check_only = 1;
  CHECK(api::pack(params).file_bytes == written.file_bytes);
  fs::resize_file(out, fs::file_size(out) / 2);
  CHECK_THROWS_AS(api::pack(params), api::error);
  params.pack_path = nullptr;
  CHECK_THROWS_AS(api::pack(params), api::error);
}

TEST_CASE("tools: the links of a device are measured to a file that plans read") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  const TempFolder folder;
  const std::string path = folder.file("links.json");
  api::measure_links({}, {}, path);
  hotset_plan_params params = HOTSET_PLAN_PARAMS_INIT;
  params.shape = "qwen3-30b-a3b";
  params.links_path = path.c_str();
  params.vram = "8G";
  params.ram = "32G";
  const json plan = json::parse(api::plan_report(params, HOTSET_JSON));
  CHECK(plan["contexts"].size() >= 1);
  CHECK_THROWS_AS(api::measure_links("no such card", {}, path), api::error);
  CHECK_THROWS_AS(api::measure_links({}, {}, folder.file("no/such/folder.json")), api::error);
  CHECK(json::parse(api::plan_report(params, HOTSET_JSON)) == plan);  // what was there stays
}

TEST_CASE("tools: conversions name their types, and say what a folder lacks") {
  const auto types = api::convert_types();
  CHECK(std::find(types.begin(), types.end(), "Q8_0") != types.end());
  const TempFolder folder;
  const std::string from = folder.path(), out = folder.file("model.gguf");
  hotset_convert_params params = HOTSET_CONVERT_PARAMS_INIT;
  params.folder = from.c_str();
  CHECK_THROWS_AS(api::convert(params), api::error);
  params.out_path = out.c_str();
  CHECK_THROWS_AS(api::convert(params), api::error);
  params.type = "Q9";
  CHECK_THROWS_AS(api::convert(params), api::error);
  CHECK_FALSE(fs::exists(out));
  CHECK(hotset_measure_links(nullptr, nullptr, nullptr, nullptr) == HOTSET_INVALID_ARGUMENT);
}
