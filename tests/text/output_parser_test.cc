#include "runtime/text/output_parser.h"

#include <doctest/doctest.h>

#include <algorithm>
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
constexpr char kKimi3[] = "<|open|><|close|><|sep|>";
constexpr char kMinimax3[] = "</mm:think><tool_call>]<]minimax[>[";
constexpr char kGemma[] = "<|channel>thought\n<channel|><|tool_call>";
constexpr char kMistral[] = "[THINK][/THINK][TOOL_CALLS]";
constexpr char kLlama3[] = "<|python_tag|><function={\"name\": function name, \"parameters\": dictionary}";
constexpr char kLlama4[] = "<|python_start|>{\"name\": function name, \"parameters\": dictionary}";
constexpr char kLfm[] = "<|tool_call_start|></think>";
constexpr char kOlmo[] = "<function_calls>";
constexpr char kGranite[] = "<|tool_call|>";
constexpr char kNemotron[] = "<TOOLCALL>";
constexpr char kHunyuan[] = "<tool_calls><tool_call>";
constexpr char kCohere[] = "<|START_ACTION|><|END_THINKING|><|START_RESPONSE|>";
constexpr char kSeed[] = "</seed:think><seed:tool_call><function=";
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

    {kKimi3, "<|open|>message role=\"assistant\"<|sep|><|open|>think<|sep|>", "hm<|close|>think<|sep|><|open|>response<|sep|>Look.<|close|>response<|sep|>"
     "<|open|>tools<|sep|><|open|>call tool=\"f\" index=\"1\"<|sep|><|open|>argument key=\"zip\" type=\"string\"<|sep|>12<|close|>argument<|sep|>"
     "<|open|>argument key=\"n&quot;\" type=\"array\"<|sep|>[1, {\"a\":null}]<|close|>argument<|sep|><|close|>call<|sep|>"
     "<|open|>call tool=\"g\" index=\"2\"<|sep|><|close|>call<|sep|><|close|>tools<|sep|><|close|>message<|sep|><|end_of_msg|>",
     "[hm][Look.](call_0 f {\"zip\": \"12\", \"n\\\"\": [1, {\"a\":null}]})(call_1 g {})"},
    {kKimi3, "<|open|>response<|sep|>", "Hi<|close|>response<|sep|><|open|>tools<|sep|><|open|>call tool=\"f\" index=\"1\"<|sep|>"
     "<|open|>json type=\"object\"<|sep|>{\"a\": 1}<|close|>json<|sep|><|close|>call<|sep|><|close|>tools<|sep|>", "[][Hi](call_0 f {\"a\": 1})"},
    {kKimi3, "", "<|open|>tools<|sep|><|open|>call tool=\"f\" index=\"1\"<|sep|><|open|>argument key=\"n\" type=\"number\"<|sep|>x<|close|>argument<|sep|>"
     "<|close|>call<|sep|><|close|>tools<|sep|>",
     "[][<|open|>tools<|sep|><|open|>call tool=\"f\" index=\"1\"<|sep|><|open|>argument key=\"n\" type=\"number\"<|sep|>x<|close|>argument<|sep|>"
     "<|close|>call<|sep|><|close|>tools<|sep|>]"},

    {kMinimax3, "<mm:think>", "t</mm:think>Now]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name=\"f\">\n]<]minimax[>[<zip>12]<]minimax[>[</zip>\n"
     "]<]minimax[>[<n>3]<]minimax[>[</n>\n]<]minimax[>[<o>]<]minimax[>[<item>x]<]minimax[>[</item>]<]minimax[>[<item>]<]minimax[>[<k>true]<]minimax[>[</k>"
     "]<]minimax[>[</item>]<]minimax[>[</o>\n]<]minimax[>[</invoke>\n]<]minimax[>[<invoke name=\"g\">]<]minimax[>[</invoke>]<]minimax[>[</tool_call>",
     "[t][Now](call_0 f {\"zip\": \"12\", \"n\": 3, \"o\": [\"x\", {\"k\": true}]})(call_1 g {})"},
    {kMinimax3, "", "]<]minimax[>[<tool_call>]<]minimax[>[<invoke name=\"f\">]<]minimax[>[<a>1]<]minimax[>[</b>]<]minimax[>[</tool_call>",
     "[][]<]minimax[>[<tool_call>]<]minimax[>[<invoke name=\"f\">]<]minimax[>[<a>1]<]minimax[>[</b>]<]minimax[>[</tool_call>]"},

    {kGemma, "<|turn>model\n", "<|channel>thought\nhm<channel|>I look.<|tool_call>call:f{n:-1.5,o:{a:[<|\"|>x, }\"y\"<|\"|>,true],b:null},zip:<|\"|>12<|\"|>}<tool_call|>"
     "<|tool_call>call:g{}<tool_call|>",
     "[hm][I look.](call_0 f {\"n\": -1.5, \"o\": {\"a\": [\"x, }\\\"y\\\"\", true], \"b\": null}, \"zip\": \"12\"})(call_1 g {})"},
    {kGemma, "<|channel>thought\n<channel|>", "<|tool_call>call:f{n:oops}<tool_call|>", "[][<|tool_call>call:f{n:oops}<tool_call|>]"},

    {kMistral, "[/INST]", "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": \"]\"}, \"id\": \"abc123def\"}, {\"name\": \"g\", \"arguments\": {}}]",
     "[][](abc123def f {\"a\": \"]\"})(call_1 g {})"},
    {kMistral, "[/INST]", "[THINK]hm[/THINK]Sure. [TOOL_CALLS]f[ARGS]{\"a\": \"[TOOL_CALLS]\"}[TOOL_CALLS]g[CALL_ID]x9[ARGS]{}",
     "[hm][Sure.](call_0 f {\"a\": \"[TOOL_CALLS]\"})(x9 g {})"},
    {kMistral, "", "[TOOL_CALLS]f{\"a\": 1}", "[][](call_0 f {\"a\": 1})"},
    {kMistral, "", "[TOOL_CALLS]f[ARGS]{\"a\": 1} and more", "[][[TOOL_CALLS]f[ARGS]{\"a\": 1} and more]"},
    {kMistral, "", "[TOOL_", "[][[TOOL_]"},

    {kLlama3, "", "{\"name\": \"f\", \"parameters\": {\"n\": 1}}", "[][](call_0 f {\"n\": 1})"},
    {kLlama3, "", "\n\n {\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {\"a\": \";\"}}",
     "[][](call_0 f {})(call_1 g {\"a\": \";\"})"},
    {kLlama3, "", "{\"name\": \"f\", \"parameters\": {}} ok?", "[][{\"name\": \"f\", \"parameters\": {}} ok?]"},
    {kLlama3, "", " {\"answer\": 42}", "[][ {\"answer\": 42}]"},
    {kLlama3, "", "{<|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "[][{](call_0 f {})"},
    {kLlama3, "", "See {\"name\": \"f\", \"parameters\": {}}", "[][See {\"name\": \"f\", \"parameters\": {}}]"},
    {kLlama3, "", "<|python_tag|>brave_search.call(query=\"a \\\"b\\\"\")", "[][](call_0 brave_search {\"query\": \"a \\\"b\\\"\"})"},
    {kLlama3, "", "<|python_tag|>print(1 + 1)", "[][<|python_tag|>print(1 + 1)]"},
    {kLlama3, "", "<function=f>{\"a\": 1}</function>", "[][](call_0 f {\"a\": 1})"},

    {kLlama4, "", "[f(zip=\"12\", n=-1, l=[1, 'it\\'s'], d={'k': None, \"b\": (True, 1.5)}), a.g()]",
     "[][](call_0 f {\"zip\": \"12\", \"n\": -1, \"l\": [1, \"it's\"], \"d\": {\"k\": null, \"b\": [true, 1.5]}})(call_1 a.g {})"},
    {kLlama4, "", "<|python_start|>[f(a=1)]<|python_end|>done", "[][done](call_0 f {\"a\": 1})"},
    {kLlama4, "", "[link](https://x) {", "[][[link](https://x) {]"},
    {kLlama4, "", "[f(1)]", "[][[f(1)]]"},
    {kLlama4, "", "{\"name\": \"f\", \"parameters\": {}}", "[][](call_0 f {})"},

    {kLfm, "", "<think>t</think><|tool_call_start|>[f(zip='12', o={\"k\": true})]<|tool_call_end|>Ok.", "[t][Ok.](call_0 f {\"zip\": \"12\", \"o\": {\"k\": true}})"},
    {kLfm, "", "<|tool_call_start|>[f(zip='it's')]<|tool_call_end|>", "[][<|tool_call_start|>[f(zip='it's')]<|tool_call_end|>]"},
    {kOlmo, "", "<function_calls>\nf(a=\"\\u00e9\\n\")\ng()\n</function_calls>", "[][](call_0 f {\"a\": \"é\\n\"})(call_1 g {})"},
    {kGranite, "", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": \">\"}}]", "[][](call_0 f {\"a\": \">\"})"},
    {kGranite, "", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}]<|/tool_call|>", "[][](call_0 f {})"},
    {kNemotron, "", "Go.<TOOLCALL>[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {\"a\": \"<\"}}]</TOOLCALL>",
     "[][Go.](call_0 f {})(call_1 g {\"a\": \"<\"})"},
    {kHunyuan, "", "<tool_calls>[{\"name\": \"f\", \"arguments\": {\"n\": 2}}]</tool_calls>", "[][](call_0 f {\"n\": 2})"},
    {kHunyuan, "", "<tool_calls>\n<tool_call>f\n```json\n{\"n\": 2}\n```\n</tool_call>\n<tool_call>g\n```json\n{}\n```</tool_call>\n</tool_calls>",
     "[][](call_0 f {\"n\": 2})(call_1 g {})"},
    {kCohere, "", "<|START_THINKING|>hm<|END_THINKING|><|START_ACTION|>[\n {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"a\": 1}}\n]<|END_ACTION|>",
     "[hm][](0 f {\"a\": 1})"},
    {kCohere, "", "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>Hello.<|END_RESPONSE|>", "[hm][Hello.]"},
    {kSeed, "", "<seed:think>t</seed:think><seed:tool_call>\n<function=f>\n<parameter=zip>12</parameter>\n</function>\n</seed:tool_call>",
     "[t][](call_0 f {\"zip\": \"12\"})"},

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

// Templates render calls as their models write them, so what they render comes apart into the calls that went in.
TEST_CASE("calls that the golden templates render are read back") {
  struct Golden {
    const char* file;
    const char* name;   // of the case
    const char* begin;  // what stands before an answer, and behind it
    const char* end;
  };
  const Golden goldens[] = {{"qwen3", "tool-round-trip", "<|im_start|>assistant\n", "<|im_end|>"},
                            {"qwen3", "tool-call-string-arguments", "<|im_start|>assistant\n", "<|im_end|>"},
                            {"deepseek_v3", "null-content-tool-call", "<｜Assistant｜>", "<｜tool▁outputs▁begin｜>"},
                            {"s-tools-typescript", "tool-round-trip", "<|start|>assistant", "<|start|>functions."},
                            {"s-tools-typescript", "tool-call-string-arguments", "<|start|>assistant", "<|start|>functions."},
                            {"s-tools-xml", "tool-round-trip", "<|assistant|>", "<|observation|>"}};
  for (const Golden& golden : goldens) {
    CAPTURE(golden.file);
    CAPTURE(golden.name);
    std::ifstream in(test::data_path(std::string("chat/") + golden.file + ".json"));
    REQUIRE(in.good());
    const auto file = nlohmann::json::parse(in);
    const auto is_wanted = [&](const nlohmann::json& row) { return row["name"] == golden.name; };
    const auto row = std::find_if(file["cases"].begin(), file["cases"].end(), is_wanted);
    REQUIRE(row != file["cases"].end());
    const auto is_call = [](const nlohmann::json& message) { return message.contains("tool_calls"); };
    const auto& calls = (*std::find_if((*row)["input"]["messages"].begin(), (*row)["input"]["messages"].end(), is_call))["tool_calls"];
    const std::string rendered = (*row)["expected"];
    const size_t begin = rendered.find(golden.begin) + std::string(golden.begin).size();
    const std::string answer = rendered.substr(begin, rendered.find(golden.end, begin) - begin);
    const ModelOutput output = parse(detect_output_syntax(file["template"].get<std::string>()), golden.begin, answer, {answer.size() / 2});
    REQUIRE(output.tool_calls.size() == calls.size());
    for (size_t i = 0; i < calls.size(); ++i) {
      const auto& function = calls[i]["function"];
      const auto& arguments = function["arguments"];
      CHECK(output.tool_calls[i].name == function["name"]);
      CHECK(nlohmann::json::parse(output.tool_calls[i].arguments) == (arguments.is_string() ? nlohmann::json::parse(arguments.get<std::string>()) : arguments));
    }
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
  const std::string all = std::string(kHermes) + kCoder + kGlm + kDeepseek + kDsml + kKimi + kMinimax + kKimi3 + kMinimax3 + kGemma + kMistral +
                          kLlama3 + kLlama4 + kLfm + kOlmo + kGranite + kNemotron + kHunyuan + kCohere + kSeed;
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
  for (const char* template_text : {kHermes, kHarmony, kMistral, kLlama3, kLlama4, kKimi3}) {
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
