// Each command doing its work on the shipped model, as a script would use it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/app/program.h"
#include "tests/test_support.h"

namespace {

using hotset::test::ProgramResult;
using hotset::test::run_hotset;
using hotset::test::TemporaryFile;
using nlohmann::json;

json parse(const std::string& text) { return json::parse(text, nullptr, false); }

}  // namespace

TEST_CASE("program: run streams text and is quiet when piped") {
  const auto result = run_hotset({"run", "-p", "Once upon a time", "-n", "12", "--seed", "7"});
  CHECK(result.exit_code == 0);
  CHECK(result.out.size() > 12);
  CHECK(result.err.empty());
  const auto again = run_hotset({"run", "-p", "Once upon a time", "-n", "12", "--seed", "7"});
  CHECK(again.out == result.out);
}

TEST_CASE("program: run takes its prompt from a file or from standard input") {
  const TemporaryFile prompt("Once upon a time\n");
  const std::vector<std::string> tail = {"-n", "8", "--temp", "0"};
  const auto with = [&](std::vector<std::string> args, const std::string& input) {
    args.insert(args.end(), tail.begin(), tail.end());
    return run_hotset(args, input);
  };
  const auto flag = with({"run", "-p", "Once upon a time"}, "");
  CHECK(flag.exit_code == 0);
  CHECK(!flag.out.empty());
  CHECK(with({"run", "-f", prompt.path()}, "").out == flag.out);
  CHECK(with({"run"}, "Once upon a time\n").out == flag.out);
  CHECK(with({"run", "-f", "-"}, "Once upon a time\n").out == flag.out);
}

TEST_CASE("program: run ends with figures when asked") {
  const auto lines = run_hotset({"run", "-p", "Once upon a time", "-n", "8", "--verbose"});
  CHECK(lines.exit_code == 0);
  for (const char* label : {"\nprompt ", "\ndecode ", "\nexperts ", "\nlink ", "\nmemory ", "\nload ", "\nlogits ", "\nseed "}) {
    CAPTURE(label);
    CHECK(lines.err.find(label) != std::string::npos);
  }
  const auto result = run_hotset({"run", "-p", "Once upon a time", "-n", "8", "--seed", "1", "--json"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  const json object = parse(result.out);
  REQUIRE(object.is_object());
  CHECK(!object["text"].get<std::string>().empty());
  CHECK(object["stop"] == "length");
  CHECK(object["figures"]["prompt"]["tokens"].get<int>() > 2);
  CHECK(object["figures"]["memory"]["vram_peak_bytes"].get<uint64_t>() > 0);
  CHECK(object["figures"]["memory"]["vram_peak_bytes"].get<uint64_t>() <=
        object["figures"]["memory"]["vram_budget_bytes"].get<uint64_t>());
  CHECK(object["figures"]["logits_hash"].get<std::string>().size() == 16);
}

TEST_CASE("program: run --chat answers") {
  const auto result = run_hotset({"run", "--chat", "-p", "Tell me a story about a fox.", "-n", "12", "--seed", "1"});
  CHECK(result.exit_code == 0);
  CHECK(result.out.size() > 4);
}

TEST_CASE("program: eval writes the logits of every position") {
  const TemporaryFile whole(""), single(""), list("3088, 650\n258 548");
  REQUIRE(run_hotset({"eval", "--tokens", "3088,650,258,548", "--logits", whole.path()}).exit_code == 0);
  const auto steps = run_hotset({"eval", "--tokens", "@" + list.path(), "--logits", single.path(), "--one-by-one", "--json"});
  REQUIRE(steps.exit_code == 0);
  CHECK(whole.content().size() == 4 * 4096 * sizeof(float));
  CHECK(single.content().size() == whole.content().size());
  const json object = parse(steps.out);
  CHECK(object["positions"] == 4);
  CHECK(object["vocab_size"] == 4096);
}

TEST_CASE("program: eval scores a text") {
  const auto result = run_hotset({"eval", "--text", hotset::test::model_path("heldout.txt"), "--max-tokens", "768", "--json"});
  REQUIRE(result.exit_code == 0);
  const json object = parse(result.out);
  CHECK(object["tokens"] == 768);
  CHECK(object["scored_tokens"] == 766);  // two windows, the first token of each unscored
  // The whole text stands at 28; a garbled model is at hundreds.
  CHECK(object["perplexity"].get<double>() > 10);
  CHECK(object["perplexity"].get<double>() < 60);
}

TEST_CASE("program: bench gives median, least and most") {
  const auto result = run_hotset({"bench", "--prompt-tokens", "16", "--gen-tokens", "4", "--reps", "2", "--json"});
  REQUIRE(result.exit_code == 0);
  const json object = parse(result.out);
  for (const char* key : {"prefill_tokens_per_second", "decode_tokens_per_second", "first_token_ms"}) {
    CAPTURE(key);
    CHECK(object[key]["min"].get<double>() > 0);
    CHECK(object[key]["min"].get<double>() <= object[key]["median"].get<double>());
    CHECK(object[key]["median"].get<double>() <= object[key]["max"].get<double>());
  }
}

TEST_CASE("program: inspect and devices tell what is there") {
  const auto text = run_hotset({"inspect"});
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("qwen3moe") != std::string::npos);
  const json report = parse(run_hotset({"inspect", "--json"}).out);
  REQUIRE(report.is_object());
  CHECK(report["layers"] == 5);
  CHECK(report["experts"] == 32);
  CHECK(report["experts_used"] == 2);
  CHECK(report["parameter_count"] == 34581888);
  CHECK(report["runnable"] == true);
  CHECK(!report["tensors"].empty());
  CHECK(!report["metadata"].empty());
  CHECK(!report["budgets"].empty());
  const auto devices = run_hotset({"devices", "--json"});
  CHECK(devices.exit_code == 0);
  CHECK(parse(devices.out).is_array());
}

TEST_CASE("program: tokenize goes there and back") {
  const auto ids = run_hotset({"tokenize", "Once upon a time there was a", "--ids"});
  CHECK(ids.exit_code == 0);
  CHECK(ids.out == "3088,650,258,548,446,308,258\n");
  CHECK(run_hotset({"tokenize", "--ids"}, "Once upon a time there was a").out == ids.out);
  CHECK(run_hotset({"tokenize", "--decode", "3088,650,258,548,446,308,258"}).out == "Once upon a time there was a");
  const json object = parse(run_hotset({"tokenize", "Once upon", "--json"}).out);
  CHECK(object["ids"] == json({3088, 650}));
  CHECK(object["pieces"] == json({"Once", " upon"}));
}

TEST_CASE("program: a machine's links are measured to a file that plan and simulate read") {
  if (run_hotset({"devices", "--json"}).out.find("\"usable\": true") == std::string::npos) HOTSET_SKIP("no usable Vulkan device");
  const TemporaryFile links("");
  const ProgramResult written = run_hotset({"devices", "--links", links.path(), "--device", "vulkan"});
  REQUIRE_MESSAGE(written.exit_code == 0, written.err);
  CHECK(links.content().find("\"hotset_links\": 1") != std::string::npos);
  const ProgramResult planned = run_hotset({"plan", "--shape", "qwen3-30b-a3b", "--links", links.path(), "--vram", "8G", "--ram", "32G"});
  CHECK_MESSAGE(planned.exit_code == 0, planned.err);
  const std::string trace = hotset::test::model_path("traces/generated.trace.txt");
  const ProgramResult simulated =
      run_hotset({"simulate", trace, "--policy", "lru", "--capacity", "25%", "--links", links.path(), "--expert-size", "1M"});
  CHECK_MESSAGE(simulated.exit_code == 0, simulated.err);
  CHECK(run_hotset({"devices", "--links", "/nowhere/at/all.json"}).exit_code != 0);
  CHECK(run_hotset({"devices", "--links", links.path(), "--device", "cpu"}).err.find("no links") != std::string::npos);
  CHECK(run_hotset({"devices", "--disk", links.path()}).err.find("--links") != std::string::npos);
  const TemporaryFile broken("{\"hotset_links\": 1,");
  CHECK(run_hotset({"plan", "--shape", "qwen3-30b-a3b", "--links", broken.path(), "--vram", "8G", "--ram", "32G"}).err.find("not JSON") !=
        std::string::npos);
}
