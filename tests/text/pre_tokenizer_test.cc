#include "runtime/text/pre_tokenizer.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "platform/log.h"

using namespace hotset;
using Words = std::vector<std::string>;

namespace {

// Every name that GGUF files are known to give.
constexpr const char* kNames[] = {
    "", "default", "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "gigachat", "a.x-4.0",
    "mellum", "modern-bert", "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2", "qwen2",
    "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2", "qwen35", "llama-bpe",
    "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "dbrx", "smaug-bpe", "glm4", "chatglm-bpe",
    "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2", "granite-embed-multi-97m", "tiny_aya", "cohere2moe", "tekken",
    "kimi-k2", "youtu", "deepseek-llm", "deepseek-coder", "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4", "spark2_5",
    "falcon", "poro-chat", "bloom", "gpt3-finnish", "viking", "chameleon", "superbpe", "bailingmoe", "bailingmoe2", "llada-moe",
    "seed-coder", "ufakzeka", "afmoe", "laguna", "exaone-moe", "minicpm5", "jais-2",
};

std::unique_ptr<PreTokenizer> make(std::string_view name) {
  auto rule = PreTokenizer::create(name);
  REQUIRE_MESSAGE(rule.ok(), rule.status().message());
  return std::move(rule).value();
}

Words split(const PreTokenizer& rule, std::string_view text) {
  std::vector<std::string_view> words;
  const Status status = rule.split(text, words);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return {words.begin(), words.end()};
}

std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += word;
  return text;
}

}  // namespace

TEST_CASE("each rule splits as its models do") {
  struct Row {
    std::string rule;
    const char* text;
    Words words;
  };
  const Row rows[] = {
      {"gpt-2", "I've 123  x\n\n y!!", {"I", "'ve", " 123", " ", " x", "\n\n", " y", "!!"}},
      {"default", "a 12345 b+c, d", {"a", " ", "123", "45", " b", "+", "c", ",", " d"}},
      {"qwen2", "I'VE 123  x\n\n y!!\n", {"I", "'VE", " ", "1", "2", "3", " ", " x", "\n\n", " y", "!!\n"}},
      {"qwen35", "cafe\u0301 12", {"cafe\u0301", " ", "1", "2"}},
      {"llama-bpe", "1234 (a\xC2\xA0" "b", {"123", "4", " (", "a", "\xC2\xA0" "b"}},
      {"gpt-4o", "camelCaseString's HTTPServer 1234//\n", {"camel", "Case", "String's", " HTTPServer", " ", "123", "4", "//\n"}},
      {"tekken", "camelCase's 12", {"camel", "Case", "'s", " ", "1", "2"}},
      {"kimi-k2", "abcABC漢字abc 12345  漢", {"abc", "ABC", "漢字", "abc", " ", "123", "45", " ", " ", "漢"}},
      {"deepseek-v3", "x=foo.bar 12345漢字 ok\n", {"x", "=foo", ".bar", " ", "123", "45", "漢字", " ok", "\n"}},
      {"deepseek-llm", "Hi there, 漢字 123\n\nx  ", {"Hi", " there", ",", " ", "漢字", " ", "123", "\n", "\n", "x", "  "}},
      {"deepseek-coder", "f(x) 12", {"f", "(", "x", ")", " ", "1", "2"}},
      {"falcon", "a+b 1234", {"a", "+", "b", " ", "123", "4"}},
      {"starcoder", "v12 x", {"v", "1", "2", " x"}},
      {"bloom", "one two.three", {"one", " two", ".", "three"}},
      {"viking", "a12 b", {"a", "1", "2", " b"}},
      {"superbpe", "pay 1234567 now", {"pay ", "1", "234", "567", " now"}},
      {"afmoe", "n 12345 ไทย", {"n", " ", "12", "345", " ", "ไทย"}},
      {"tiny_aya", "a 1234567 1234b", {"a", " ", "1", "234", "567", " ", "123", "4", "b"}},
      {"exaone-moe", "New York 12", {"New York", " ", "1", "2"}},
      {"bailingmoe", "a's\n\nb", {"a", "'s", "\n\n", "b"}},
      {"seed-coder", "!!\nx", {"!!", "\n", "x"}},
      {"laguna", "a\n\n b", {"a", "\n\n", " b"}},
      {"jais-2", "a" "       b", {"a", "    ", "  ", " b"}},
      {"minicpm5", "12345", {"123", "45"}},
      {"chameleon", "ab12  x", {"ab", "1", "2", "  ", "x"}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.rule);
    CHECK(split(*make(row.rule), row.text) == row.words);
  }
}

TEST_CASE("a rule that is not known warns and splits by the default one") {
  std::string logged;
  set_log_sink([&](LogLevel, std::string_view line) { logged = line; }, LogLevel::kWarn);
  const auto rule = make("no-such-rule");
  set_log_sink({}, LogLevel::kError);
  CHECK(logged.find("'no-such-rule'") != std::string::npos);
  CHECK(split(*rule, "a+b") == split(*make("default"), "a+b"));
}

TEST_CASE("every known rule keeps all of a text") {
  const std::string text =
      "It's 12345 o'clock:\n\n\tCAFÉ café  naïve \xE2\x80\x99s 漢字かな한글 ไทย हिन्दी 👩‍👧 "
      "a.b(c)=d; <tag/>\r\n   end   ";
  for (const std::string name : kNames) {
    CAPTURE(name);
    REQUIRE(find_pre_tokenizer_rule(name) != nullptr);
    CHECK(joined(split(*make(name), text)) == text);
    CHECK(split(*make(name), "").empty());
  }
}

TEST_CASE("long runs take no rule more than linear time") {
  // A pattern may look at the rest of a run from each of its characters: that would take minutes here.
  std::vector<const SplitStep*> seen;
  for (const char* name : kNames) {
    const SplitStep* steps = find_pre_tokenizer_rule(name)->steps.data();
    if (std::find(seen.begin(), seen.end(), steps) != seen.end()) continue;
    seen.push_back(steps);
    const auto rule = make(name);
    for (const std::string_view unit : {"a", "A", "aB", " ", "\n", " \n", "1", "!", "漢", "ก", "e\u0301", " 1", "'s"}) {
      std::string text;
      while (text.size() < 20'000) text += unit;
      CHECK(joined(split(*rule, text)) == text);
      CHECK(joined(split(*rule, text + "x")) == text + "x");
    }
  }
}
