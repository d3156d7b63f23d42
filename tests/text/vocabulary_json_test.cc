// tokenizer.json and tiktoken's files as vocabularies: the same tokens, pairs and special ones as the GGUF that others made of them.
#include "runtime/text/vocabulary_json.h"

#include <doctest/doctest.h>

#include "runtime/format/gguf.h"
#include "runtime/format/gguf_writer.h"
#include "runtime/text/pre_tokenizer_match.h"
#include "runtime/text/tiktoken_ranks.h"
#include "runtime/text/vocabulary_writer.h"
#include "tests/format/gguf_builder.h"
#include "tests/text/vocabularies.h"

namespace {

using namespace hotset;
using nlohmann::json;

constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

json byte_level(bool use_regex) { return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", use_regex}}; }

json split(const std::string& regex) { return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}}; }

json sequence(const std::vector<json>& parts) { return {{"type", "Sequence"}, {"pretokenizers", parts}}; }

// The document that the vocabulary could come from.
json tokenizer_json(const Vocabulary& v, const std::string& regex) {
  json words = json::object(), added = json::array();
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    if (v.type_of(i) == TokenType::kNormal) words[v.tokens[i]] = i;
    else if (v.type_of(i) != TokenType::kUnused) added.push_back({{"id", i}, {"content", v.tokens[i]}, {"special", v.type_of(i) == TokenType::kControl}});
  }
  return {{"model", {{"type", "BPE"}, {"vocab", words}, {"merges", v.merges}}}, {"added_tokens", added}, {"pre_tokenizer", sequence({split(regex), byte_level(false)})}};
}

Status status_of(const VocabularyTexts& texts, uint32_t vocab_size = 0, const json& config = json::object()) {
  return read_vocabulary_texts(texts, config, vocab_size).status();
}

}  // namespace

TEST_CASE("vocabulary json: pre-tokenisers are known by how they split") {
  const auto matches = [](const json& pre, bool ignore_merges, const std::string& name) {
    const auto found = match_pre_tokenizer(pre, ignore_merges);
    REQUIRE_MESSAGE(found.ok(), found.status().message());
    CHECK(*found == name);
  };
  matches(sequence({split(kQwen2), byte_level(false)}), false, "qwen2");
  // Spelled in another way.
  matches(sequence({split(R"((?i:'(?:[smtd]|re|ve|ll))|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|[ ]?[^\p{L}\p{N}\s]+[\n\r]*|\s*[\r\n]+|\s+(?!\S)|\s+)"), byte_level(false)}), false, "qwen2");
  matches(sequence({split(kLlama3), byte_level(false)}), true, "llama-bpe");
  matches(sequence({split(kLlama3), byte_level(false)}), false, "glm4");
  matches(sequence({split(kO200k), byte_level(false)}), true, "gpt-4o");
  matches(byte_level(true), false, "gpt-2");
  matches(sequence({json{{"type", "Digits"}, {"individual_digits", true}}, byte_level(true)}), false, "starcoder");
  json removed = split(kQwen2);
  removed["behavior"] = "Removed";
  removed["invert"] = true;
  matches(sequence({removed, byte_level(false)}), false, "qwen2");
  matches(sequence({split(R"([\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}&&[^\p{Han}]]*)"), byte_level(false)}), false, "kimi-k2");

  for (const json& wrong : {sequence({split("[aeiou]+"), byte_level(false)}), sequence({split("(["), byte_level(false)}), json{{"type", "Whitespace"}}, json(3),
                            json{{"type", "ByteLevel"}, {"add_prefix_space", true}}, json{{"type", "Sequence"}}}) {
    const auto found = match_pre_tokenizer(wrong, false);
    CHECK_MESSAGE(!found.ok(), wrong.dump());
  }
}

TEST_CASE("vocabulary json: a byte-level tokenizer comes back as it was, through a file") {
  const Vocabulary v = test::small_vocabulary();
  VocabularyTexts texts;
  texts.tokenizer = tokenizer_json(v, kQwen2).dump();
  texts.tokenizer_config = json{{"bos_token", nullptr}, {"eos_token", {{"content", v.tokens[static_cast<size_t>(v.eos)]}}}, {"chat_template", "plain"}}.dump();
  const uint32_t size = static_cast<uint32_t>(v.tokens.size()) + 3;
  const auto read = read_vocabulary_texts(texts, json::object(), size);
  REQUIRE_MESSAGE(read.ok(), read.status().message());
  GgufWriter writer;
  write_vocabulary(*read, writer);
  const test::TempFolder folder;
  const auto file = GgufFile::open(folder.write("v.gguf", writer.head()));
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  const auto back = read_vocabulary(**file);
  REQUIRE_MESSAGE(back.ok(), back.status().message());
  REQUIRE(back->tokens.size() == size);
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    if (v.type_of(i) == TokenType::kUnused) continue;
    CHECK(back->tokens[i] == v.tokens[i]);
    CHECK(back->type_of(i) == v.type_of(i));
  }
  CHECK(back->type_of(size - 1) == TokenType::kUnused);
  CHECK(back->merges == v.merges);
  CHECK(back->pre == "qwen2");
  CHECK(back->eos == v.eos);
  CHECK(back->bos == kNoToken);
  CHECK(back->add_bos == std::optional<bool>(false));
  CHECK(read_chat_template(texts).value() == "plain");
  texts.tokenizer_config = R"({"chat_template":[{"name":"tools","template":"t"},{"name":"default","template":"d"}]})";
  CHECK(read_chat_template(texts).value() == "d");
  texts.chat_template = "own";
  CHECK(read_chat_template(texts).value() == "own");
}

TEST_CASE("vocabulary json: special tokens by name, by id, by template") {
  const Vocabulary v = test::small_vocabulary();
  VocabularyTexts texts;
  json document = tokenizer_json(v, kQwen2);
  document["post_processor"] =
      json::parse(R"({"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}]}]})");
  texts.tokenizer = document.dump();
  texts.generation_config = json{{"bos_token_id", 67}, {"eos_token_id", {v.eos, 65, 66}}}.dump();
  const auto read = read_vocabulary_texts(texts, json::object(), 0);
  REQUIRE_MESSAGE(read.ok(), read.status().message());
  CHECK(read->bos == 67);
  CHECK(read->eos == v.eos);
  CHECK(read->add_bos == std::optional<bool>(true));
  CHECK(read->eot == 65);
  CHECK(read->ends == std::vector<TokenId>{66});
}

TEST_CASE("vocabulary json: characters with byte fallback get scores in the order of merges") {
  json words = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    words[name] = 3 + byte;
  }
  const std::vector<std::string> pieces = {"a", "b", "c", "▁", "ab", "abc", "▁a"};
  for (size_t i = 0; i < pieces.size(); ++i) words[pieces[i]] = 259 + i;
  const json document = {
      {"model", {{"type", "BPE"}, {"byte_fallback", true}, {"unk_token", "<unk>"}, {"vocab", words}, {"merges", {"a b", "ab c", "▁ a"}}}},
      {"added_tokens", {{{"id", 1}, {"content", "<s>"}, {"special", true}}, {{"id", 2}, {"content", "</s>"}, {"special", true}}}},
      {"normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Prepend"}}}}}},
  };
  VocabularyTexts texts;
  texts.tokenizer = document.dump();
  texts.tokenizer_config = R"({"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>","add_bos_token":true})";
  const auto read = read_vocabulary_texts(texts, json::object(), 0);
  REQUIRE_MESSAGE(read.ok(), read.status().message());
  CHECK(read->model == "llama");
  CHECK(read->type_of(0) == TokenType::kUnknown);
  CHECK(read->type_of(1) == TokenType::kControl);
  CHECK(read->type_of(3 + 65) == TokenType::kByte);
  CHECK(read->scores[263] == -1);
  CHECK(read->scores[264] == -2);
  CHECK(read->scores[265] == -3);
  CHECK(read->scores[259] < -3);
  CHECK(read->add_space_prefix == std::optional<bool>(true));
  const auto tokenizer = Tokenizer::create(*read);
  REQUIRE(tokenizer.ok());
  CHECK((*tokenizer)->encode("abc", true, false).value() == std::vector<TokenId>{1, 262, 264});
}

TEST_CASE("vocabulary json: tiktoken's ranks give the pairs that make each token") {
  // a, b, c, ab, abc, bc: "abc" is made of ab and c, since ab has the lower rank.
  const auto ranks = read_tiktoken_ranks("YQ== 0\nYg== 1\nYw== 2\r\nYWI= 3\nYmM= 5\nYWJj 4\n");
  REQUIRE_MESSAGE(ranks.ok(), ranks.status().message());
  CHECK(ranks->tokens == std::vector<std::string>{"a", "b", "c", "ab", "abc", "bc"});
  CHECK(ranks->merges == std::vector<std::string>{"a b", "ab c", "b c"});
  CHECK(read_tiktoken_ranks("IA== 0\n").value().tokens[0] == "Ġ");
  for (const char* wrong : {"YQ==\n", "YQ== x\n", "Y!== 1\n", " 1\n", "YQ== 99999999\n", "YQ== 0\nYg== 0\n", "YQ== 0\nYQ== 1\n", "YQ== 1 2\n"}) {
    CHECK_MESSAGE(!read_tiktoken_ranks(wrong).ok(), wrong);
  }
  VocabularyTexts texts;
  texts.ranks = "YQ== 0\nYg== 1\nYWI= 2\n";
  texts.tokenizer_config = R"({"added_tokens_decoder":{"3":{"content":"[BOS]","special":true},"5":{"content":"<|im_end|>","special":true}},"bos_token":"[BOS]"})";
  const auto read = read_vocabulary_texts(texts, json::object(), 8);
  REQUIRE_MESSAGE(read.ok(), read.status().message());
  CHECK(read->pre == "kimi-k2");
  CHECK(read->bos == 3);
  CHECK(read->tokens[4] == "[PAD4]");
  CHECK(read->type_of(5) == TokenType::kControl);
}

TEST_CASE("vocabulary json: what is wrong with a document is said in one line") {
  const json good = tokenizer_json(test::small_vocabulary(), kQwen2);
  REQUIRE(read_vocabulary_texts({.tokenizer = good.dump()}, json::object(), 0).ok());
  CHECK(status_of({}).message().find("no tokenizer.json") != std::string::npos);
  const auto broken = [&](auto change) {
    json document = good;
    change(document);
    const Status status = status_of({.tokenizer = document.dump()});
    CHECK_MESSAGE(!status.ok(), document.dump().substr(0, 200));
    CHECK(status.message().find('\n') == std::string::npos);
  };
  broken([](json& d) { d = 3; });
  broken([](json& d) { d.erase("model"); });
  broken([](json& d) { d["model"] = "BPE"; });
  broken([](json& d) { d["model"]["type"] = "WordPiece"; });
  broken([](json& d) { d["model"]["type"] = 4; });
  broken([](json& d) { d["model"]["vocab"] = json::array(); });
  broken([](json& d) { d["model"]["vocab"]["x"] = -1; });
  broken([](json& d) { d["model"]["vocab"]["x"] = 4000000000u; });
  broken([](json& d) { d["model"]["vocab"]["x"] = "1"; });
  broken([](json& d) { d["model"]["merges"] = {"a"}; d["model"]["merges"][0] = 3; });
  broken([](json& d) { d["model"]["merges"] = {{"a", "b", "c"}}; });
  broken([](json& d) { d["model"].erase("merges"); });
  broken([](json& d) { d["added_tokens"] = {{{"content", "x"}}}; });
  broken([](json& d) { d["added_tokens"] = {{{"id", 3}}}; });
  broken([](json& d) { d["added_tokens"] = 3; });
  broken([](json& d) { d["pre_tokenizer"] = nullptr; });
  CHECK_FALSE(status_of({.tokenizer = "{"}).ok());
  CHECK_FALSE(status_of({.tokenizer = good.dump(), .tokenizer_config = "[1"}).ok());
  CHECK(status_of({.tokenizer = good.dump()}, 10).message().find("but the model only 10") != std::string::npos);
  CHECK_FALSE(status_of({.tokenizer = good.dump()}, UINT32_MAX).ok());
}
