// Tokenised strings of published vocabularies (golden/tokenizers) and of the shipped model.
#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "platform/file.h"
#include "runtime/text/stream_decoder.h"
#include "runtime/text/utf8.h"
#include "tests/test_support.h"
#include "tests/text/vocabularies.h"

using namespace hotset;
using nlohmann::json;
using Ids = std::vector<TokenId>;

namespace {

json load(const std::string& path) {
  std::ifstream in(path);
  REQUIRE_MESSAGE(in.good(), path);
  return json::parse(in);
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

Ids encode(const Tokenizer& tokenizer, const std::string& text, bool add_special, bool parse_special) {
  const auto ids = tokenizer.encode(text, add_special, parse_special);
  REQUIRE_MESSAGE(ids.ok(), ids.status().message());
  return *ids;
}

std::string joined(const Tokenizer& tokenizer, const Ids& ids) {
  std::string bytes;
  for (const TokenId id : ids) bytes += tokenizer.piece(id);
  return bytes;
}

void check_case(const Tokenizer& tokenizer, const json& golden) {
  const std::string text = from_hex(golden["hex"]);
  CAPTURE(text);
  if (!golden.contains("text")) {
    const auto ids = tokenizer.encode(text, true, true);
    CHECK_FALSE(ids.ok());
    CHECK(ids.status().message().find("byte " + std::to_string(find_invalid_utf8(text))) != std::string::npos);
    return;
  }
  const Ids ids = encode(tokenizer, text, false, false);
  const Ids parsed = encode(tokenizer, text, false, true);
  // Where the two references differ either will do, but then for the whole text.
  const bool is_npm = golden.value("npm_agrees", true) == false && parsed == golden["npm_ids"].get<Ids>();
  if (!is_npm) {
    CHECK(ids == golden["ids"].get<Ids>());
    CHECK(parsed == golden["ids_parse"].get<Ids>());
    if (golden.contains("ids_special")) CHECK(encode(tokenizer, text, true, true) == golden["ids_special"].get<Ids>());
  }
  CHECK(tokenizer.decode(ids, true).value() == text);
  if (golden.contains("pieces_hex") && ids == golden["ids"].get<Ids>()) CHECK(joined(tokenizer, ids) == from_hex(golden["pieces_hex"]));
  StreamDecoder decoder(tokenizer, true);
  std::string streamed;
  for (const TokenId id : parsed) {
    streamed += decoder.next(id);
    CHECK(find_invalid_utf8(streamed) == std::string_view::npos);
  }
  streamed += decoder.finish();
  CHECK(streamed == joined(tokenizer, parsed));
}

void check_golden(const Tokenizer& tokenizer, const json& golden) {
  CHECK(tokenizer.vocab_size() == golden["n_vocab"].get<uint32_t>());
  CHECK(tokenizer.eos() == golden["eos"].get<TokenId>());
  CHECK(tokenizer.eot() == golden["eot"].get<TokenId>());
  CHECK(tokenizer.adds_bos() == golden["add_bos"].get<bool>());
  CHECK(tokenizer.adds_eos() == golden["add_eos"].get<bool>());
  CHECK(tokenizer.end_of_generation() == golden["eog"].get<Ids>());
  for (const json& row : golden["cases"]) check_case(tokenizer, row);
}

}  // namespace

TEST_CASE("tokenizer golden: synthetic vocabulary") {
  const auto tokenizer = test::tokenizer_of(test::data_path("models/qwen3moe/model.gguf"));
  if (tokenizer == nullptr) HOTSET_SKIP("tests/data/models/qwen3moe is absent");
  check_golden(*tokenizer, load(test::data_path("tokenizers/tiny.json")));
}

TEST_CASE("tokenizer golden: published vocabularies") {
  if (!file_exists(test::shared_path("golden/tokenizers/qwen3.json"))) HOTSET_SKIP("no ../shared/golden/tokenizers");
  for (const std::string name : {"qwen3", "llama3", "gptoss", "deepseek_v3", "llama2"}) {
    CAPTURE(name);
    const auto tokenizer = test::tokenizer_of(test::shared_path("golden/tokenizers/" + name + ".gguf.gz"));
    REQUIRE(tokenizer != nullptr);
    check_golden(*tokenizer, load(test::shared_path("golden/tokenizers/" + name + ".json")));
  }
}

TEST_CASE("tokenizer golden: shipped model") {
  auto tokenizer = test::tokenizer_of(test::model_path("storyteller-35m-q4_k_m.gguf"));
  if (tokenizer == nullptr) tokenizer = test::tokenizer_of(test::shared_path("model/storyteller-35m-q4_k_m.gguf"));
  if (tokenizer == nullptr || !file_exists(test::shared_path("model/expect.json"))) HOTSET_SKIP("no ../shared/model");
  const json expect = load(test::shared_path("model/expect.json"));
  for (const auto& [name, file] : expect["files"].items()) {
    for (const json& row : file["greedy"]) {
      CHECK(encode(*tokenizer, row["prompt"], true, true) == row["ids"].get<Ids>());
      CHECK(tokenizer->decode(row["next"].get<Ids>(), false).value() == row["text"].get<std::string>());
    }
  }
  const auto heldout = read_whole_file(test::shared_path("model/heldout.txt"), 1 << 20);
  REQUIRE(heldout.ok());
  const Ids ids = encode(*tokenizer, *heldout, false, false);
  const Ids first = expect["heldout"]["first_ids"].get<Ids>();
  REQUIRE(ids.size() >= expect["heldout"]["tokens"].get<size_t>());
  CHECK(Ids(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(first.size())) == first);
  CHECK(tokenizer->decode(ids, false).value() == *heldout);
}
