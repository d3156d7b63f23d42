#include "runtime/text/output_parser.h"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/text/json_text.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

// What a template of each family holds of its syntax.
constexpr char kHermes[] = "<think></think><tool_call></tool_call>";
constexpr char kCoder[] = "<tool_call><function=f><parameter=p></parameter></function></tool_call>";
constexpr char kGlm[] = "<think></think><tool_call>f<arg_key></arg_key><arg_value></arg_value></tool_call>";
constexpr char kDeepseek[] = "<think></think><｜tool▁calls▁begin｜>";
constexpr char kDsml[] = "<think></think>{%- set dsml_token = '｜DSML｜' -%}";
constexpr char kKimi[] = "<think></think><|tool_calls_section_begin|>";
constexpr char kMinimax[] = "<think></think><minimax:tool_call>";
constexpr char kHarmony[] = "<|start|><|channel|><|message|>";

constexpr char kTools[] = R"([{"type": "function", "function": {"name": "f", "parameters": {"properties":
    {"zip": {"type": "string"}, "n": {"type": "integer"}}}}}, 7, {"name": "g"}])";

void collect(ModelOutput& sum, const ModelOutput& news) {
  sum.reasoning += news.reasoning;
  sum.content += news.content;
  sum.tool_calls.insert(sum.tool_calls.end(), news.tool_calls.begin(), news.tool_calls.end());
}

// The output of `text` pushed in pieces that end at `cuts` (ascending).
ModelOutput parse(const OutputSyntax& syntax, std::string_view prompt, std::string_view text, const std::vector<size_t>& cuts) {
  const auto parser = OutputParser::create(syntax, prompt, kTools);
  ModelOutput sum;
  size_t begin = 0;
  for (const size_t cut : cuts) {
    collect(sum, parser->push(text.substr(begin, cut - begin)));
    begin = cut;
  }
  collect(sum, parser->push(text.substr(begin)));
  collect(sum, parser->finish());
  CHECK(sum == parser->output());
  return sum;
}

std::string shown(const ModelOutput& output) {
  std::string text = "[" + output.reasoning + "][" + output.content + "]";
  for (const ToolCall& call : output.tool_calls) text += "(" + call.id + " " + call.name + " " + call.arguments + ")";
  return text;
}

struct Row {
  const char* syntax;
  const char* prompt;
  const char* text;
  const char* expected;  // as shown() has it
};

const Row kRows[] = {
    {"", "", " plain <think> text\n", "[][ plain <think> text\n]"},
    {kHermes, "", "<think>\nhm\n</think>\n\nHello\n", "[hm][Hello\n]"},
    {kHermes, "assistant\n<think>\n", "hm\n\nso\n</think>\nHello", "[hm\n\nso][Hello]"},
    {kHermes, "", "<think>\n\n</think>\n\nHello", "[][Hello]"},
    {kHermes, "<think>", "never ends \n", "[never ends][]"},
    {kHermes, "", "a < b, <thin, <think", "[][a < b, <thin, <think]"},
    {kHermes, "", "Sure.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": \"}\"}], \"c\": 1.0}}\n</tool_call>\n",
     "[][Sure.](call_0 f {\"a\": [1, {\"b\": \"}\"}], \"c\": 1.0})"},
    {kHermes, "<think>\n", "x</think>\n\n<tool_call>{\"name\":\"f\"}</tool_call>\n<tool_call>{\"arguments\":\"{\\\"q\\\": 2}"
     "\",\"name\":\"g\",\"id\":\"k\"}</tool_call>ok",
     "[x][ok](call_0 f {})(k g {\"q\": 2})"},
    {kHermes, "", "a\n<tool_call>{\"name\": \"f\", \"arguments\": {</tool_call>\nb", "[][a\n<tool_call>{\"name\": \"f\", \"arguments\": "
     "{</tool_call>\nb]"},
    {kHermes, "", "<tool_call>{\"name\": \"f\", \"arguments\": {}}", "[][](call_0 f {})"},
    {kHermes, "", "<tool_call>{\"name\": \"f\", \"arg", "[][<tool_call>{\"name\": \"f\", \"arg]"},
    {kHermes, "", "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>", "[][<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>]"},
    {kHermes, "", "<tool_call>two words</tool_call>", "[][<tool_call>two words</tool_call>]"},
    {kHermes, "", "<tool_call>{\"name\": \"f\", \"arguments\": {\"n\": 12345678901234567890123}}</tool_call>",
     "[][](call_0 f {\"n\": 12345678901234567890123})"},

    {kCoder, "", "Go\n\n<tool_call>\n<function=f>\n<parameter=zip>\n123\n</parameter>\n<parameter=n>\n5\n</parameter>\n<parameter=s>\na "
     "\"q\"\nb\n</parameter>\n"
                 "</function>\n</tool_call>",
     "[][Go](call_0 f {\"zip\": \"123\", \"n\": 5, \"s\": \"a \\\"q\\\"\\nb\"})"},
    {kCoder, "", "<function=g>\n<parameter=x>\n{\"a\": 1}\n</parameter>\n</function>\n</tool_call>", "[][</tool_call>](call_0 g {\"x\": {\"a\": "
     "1}})"},
    {kCoder, "", "<tool_call>\n<function=g>\n</function>\n<function=h>\n</function>\n</tool_call>", "[][](call_0 g {})(call_1 h {})"},
    {kCoder, "", "<tool_call>\n<function=g>\noops</function>\n</tool_call>.", "[][<tool_call>\n<function=g>\noops</function>\n</tool_call>.]"},

    {kGlm, "<|assistant|>", "\n<think>why</think>\nOK\n<tool_call>f\n<arg_key>zip</arg_key>\n<arg_value>0123</arg_value>\n<arg_key>n</arg_key>"
     "\n<arg_value>3</arg_value>\n"
                            "</tool_call>\n<tool_call>g\n</tool_call>",
     "[why][OK](call_0 f {\"zip\": \"0123\", \"n\": 3})(call_1 g {})"},
    {kGlm, "", "<tool_call>f<arg_key>a</arg_key>x</tool_call>", "[][<tool_call>f<arg_key>a</arg_key>x</tool_call>]"},

    {kDeepseek, "<think>\n", "hm\n</think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": 1}"
     "\n```<｜tool▁call▁end｜>\n"
                             "<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     "[hm][](call_0 f {\"a\": 1})(call_1 g {})"},
    {kDeepseek, "</think>", "Hi<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
     "", "[][Hi](call_0 f {\"a\": 1})"},
    {kDeepseek, "", "<｜tool▁calls▁begin｜>no<｜tool▁calls▁end｜> way", "[][<｜tool▁calls▁begin｜>no<｜tool▁calls▁end｜> way]"},
    {kDsml, "<think>", "t</think>A\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"a\" string=\"true\">"
     "5</｜DSML｜parameter>\n"
                       "<｜DSML｜parameter name=\"b\" string=\"false\">[5]</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
     "[t][A](call_0 f {\"a\": \"5\", \"b\": [5]})"},
    {kDsml, "", "<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>", "[][](call_0 f {})"},

    {kKimi, "", "<think>t</think>Look<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\": 1}"
     "<|tool_call_end|>"
                "<|tool_call_begin|>functions.a.b:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
     "[t][Look](functions.f:0 f {\"a\": 1})(functions.a.b:1 a.b {})"},
    {kKimi, "", "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>"
     "{\"a\"", "[][<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\"]"},

    {kMinimax, "]~b]ai\n<think>\n", "t\n</think>\n\nNow\n<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"zip\">12</parameter>"
     "\n<parameter name=\"n\">12</parameter>\n"
                                    "</invoke>\n<invoke name=\"g\">\n</invoke>\n</minimax:tool_call>\n",
     "[t][Now](call_0 f {\"zip\": \"12\", \"n\": 12})(call_1 g {})"},

    {kHarmony, "<|start|>assistant", "<|channel|>analysis<|message|>hm <|end|><|start|>assistant<|channel|>final<|message|>Hello.", "[hm ][Hello.]"},
    {kHarmony, "<|start|>assistant", "<|channel|>analysis<|message|>t<|end|><|start|>assistant<|channel|>commentary<|message|>Let me look.<|end|>"
                                     "<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>",
     "[t][Let me look.](call_0 f {\"a\": 1})"},
    {kHarmony, "<|start|>assistant", " to=functions.f<|channel|>commentary<|message|>{}", "[][](call_0 f {})"},
    {kHarmony, "<|start|>assistant<|channel|>final<|message|>", "Just this<|return|>", "[][Just this]"},
    {kHarmony, "<|start|>assistant", "<|channel|>commentary to=functions.f<|message|>{\"a\"", "[][<|channel|>commentary to=functions.f<|message|>"
     "{\"a\"]"},
    {kHarmony, "<|start|>assistant", "no marks <| at all", "[][no marks <| at all]"},
    {kHarmony, "", "a<|channel|>final<|message|>b<|chan", "[][ab<|chan]"},
};

}  // namespace

TEST_CASE("outputs of every family come apart, however they are cut") {
  for (const Row& row : kRows) {
    const std::string text = row.text;
    CAPTURE(text);
    const OutputSyntax syntax = detect_output_syntax(row.syntax);
    CHECK(shown(parse(syntax, row.prompt, text, {})) == row.expected);
    std::vector<size_t> every;
    for (size_t i = 1; i < text.size(); ++i) every.push_back(i);
    CHECK(shown(parse(syntax, row.prompt, text, every)) == row.expected);
    bool same = true;
    for (size_t i = 0; i <= text.size(); ++i) {
      same &= shown(parse(syntax, row.prompt, text, {i})) == row.expected;
      same &= shown(parse(syntax, row.prompt, text, {i / 2, i})) == row.expected;
      same &= shown(parse(syntax, row.prompt, text, {i, (i + text.size()) / 2})) == row.expected;
    }
    CHECK(same);
  }
}

TEST_CASE("text is handed on as soon as it can be no mark") {
  const auto parser = OutputParser::create(detect_output_syntax(kHermes), "");
  CHECK(parser->push("Hel").content == "Hel");
  CHECK(parser->push("lo <").content == "lo");  // the blank may belong to a mark
  CHECK(parser->push("b").content == " <b");
  CHECK(parser->push("<think>x").reasoning == "x");
  CHECK(parser->push("y</thi").reasoning == "y");
  CHECK(parser->push("nk>\n\nz").content == "z");
  CHECK(parser->push("<tool_call>{\"name\":").empty());
  CHECK(parser->push("\"f\"}</tool_call>").tool_calls.size() == 1);
  CHECK(parser->finish().empty());
}

TEST_CASE("templates say which syntax their models write") {
  struct Known {
    const char* file;
    bool reasons;
    size_t tools;
  };
  for (const Known& known : {Known{"qwen3", true, 1}, {"deepseek_v3", false, 1}, {"llama3", false, 0}, {"s-chatml", false, 0}}) {
    std::ifstream in(test::data_path(std::string("chat/") + known.file + ".json"));
    REQUIRE(in.good());
    const OutputSyntax syntax = detect_output_syntax(nlohmann::json::parse(in)["template"].get<std::string>());
    CHECK_FALSE(syntax.is_harmony);
    CHECK(syntax.reasoning_open.empty() == !known.reasons);
    CHECK(syntax.tools.size() == known.tools);
  }
  CHECK(detect_output_syntax(kHarmony).is_harmony);
  CHECK(detect_output_syntax("[THINK][/THINK]").reasoning_close == "[/THINK]");
}

TEST_CASE("no output, however broken, is lost or taken for a call") {
  // Every mark of every family, cut and mixed by a fixed sequence of numbers.
  const std::string all = std::string(kHermes) + kCoder + kGlm + kDeepseek + kDsml + kKimi + kMinimax;
  const char* pieces[] = {"<tool_call>", "</tool_call>", "<function=", ">", "</function>", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
     "", "<|tool_calls_section_begin|>",
                          "<|tool_calls_section_end|>", "<minimax:tool_call>", "</minimax:tool_call>", "{", "\"", "word", "<", "｜", "\xFF", "[[[["};
  for (const OutputSyntax& syntax : {detect_output_syntax(all), detect_output_syntax(kHarmony)}) {
    uint64_t state = 1;
    for (int round = 0; round < 300; ++round) {
      std::string text;
      for (int i = 0; i < 20; ++i) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        text += pieces[state >> 33 & 15];
        text += pieces[14 + (state >> 40 & 3)];
      }
      const ModelOutput output = parse(syntax, "", text, {text.size() / 3, text.size() / 2});
      CHECK(output.tool_calls.empty());
      CHECK(output.content == text);
    }
  }
}

TEST_CASE("long outputs take linear time") {
  for (const char* template_text : {kHermes, kHarmony}) {
    const auto parser = OutputParser::create(detect_output_syntax(template_text), "");
    size_t bytes = parser->push("<tool_call>").content.size();
    for (int i = 0; i < 200'000; ++i) bytes += parser->push("<").content.size();
    bytes += parser->finish().content.size();
    CHECK(bytes == 200'011);
  }
}

TEST_CASE("JSON is cut without being changed") {
  const auto members = json_members(R"( {"a" : [1,{"b":"]"}] ,"c\n":"x", "d":-1e9} )");
  REQUIRE(members.has_value());
  REQUIRE(members->size() == 3);
  CHECK((*members)[0].second == R"([1,{"b":"]"}])");
  CHECK((*members)[1].first == "c\n");
  CHECK((*members)[2].second == "-1e9");
  CHECK(json_members("{}")->empty());
  CHECK(json_items("[]")->empty());
  CHECK(json_items("[1, [2, 3]]")->size() == 2);
  for (const char* bad : {"", "{", "[1", "{\"a\" 1}", "{a: 1}", "1", "\"", "{} {}", "\xFF"}) {
    CHECK_FALSE(json_members(bad).has_value());
    CHECK_FALSE(json_items(bad).has_value());
  }
  CHECK_FALSE(is_json(std::string(100'000, '[') + std::string(100'000, ']')));
  CHECK(json_unquoted("\"\\u00e9\"").value() == "é");
  CHECK_FALSE(json_unquoted("12").has_value());
  CHECK(json_quoted("a\xFF\"") == "\"a\xEF\xBF\xBD\\\"\"");
}
