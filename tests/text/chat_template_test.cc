#include "runtime/text/chat_template.h"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "platform/file.h"
#include "runtime/format/gguf.h"
#include "tests/test_support.h"

using namespace hotset;
using nlohmann::ordered_json;

namespace {

jinja::Value to_value(const ordered_json& j, jinja::ValueArena& arena) {
  if (j.is_null()) return jinja::Value::none();
  if (j.is_boolean()) return jinja::Value::boolean(j.get<bool>());
  if (j.is_number_integer()) return jinja::Value::integer(j.get<int64_t>());
  if (j.is_number()) return jinja::Value::real(j.get<double>());
  if (j.is_string()) return arena.text(j.get<std::string>());
  if (j.is_array()) {
    jinja::List items;
    for (const ordered_json& item : j) items.push_back(to_value(item, arena));
    return arena.list(std::move(items));
  }
  jinja::Dict entries;
  for (const auto& [key, item] : j.items()) entries.set(arena.text(key).as_text(), to_value(item, arena));
  return arena.dict(std::move(entries));
}

// "2025-03-09 14:05:06", a Sunday.
std::tm clock_of(const std::string& text) {
  std::tm now{};
  REQUIRE(sscanf(text.c_str(), "%d-%d-%d %d:%d:%d", &now.tm_year, &now.tm_mon, &now.tm_mday, &now.tm_hour, &now.tm_min, &now.tm_sec) == 6);
  now.tm_year -= 1900;
  now.tm_mon -= 1;
  now.tm_wday = 0;
  return now;
}

Result<std::string> render(const std::string& source, const ordered_json& input = ordered_json::object(),
                           const std::string& now = "2025-03-09 14:05:06") {
  HOTSET_ASSIGN(const auto chat, ChatTemplate::parse(source, "<s>", "</s>"));
  jinja::ValueArena arena;
  jinja::Variables variables;
  for (const auto& [key, value] : input.items()) variables.emplace_back(arena.text(key).as_text(), to_value(value, arena));
  return chat->render(variables, arena, clock_of(now));
}

void check_golden(const std::string& name) {
  std::ifstream in(test::data_path("chat/" + name + ".json"));
  REQUIRE(in.good());
  const ordered_json golden = ordered_json::parse(in);
  const auto chat = ChatTemplate::parse(golden["template"].get<std::string>(), golden["bos_token"], golden["eos_token"]);
  REQUIRE_MESSAGE(chat.ok(), chat.status().message());
  for (const ordered_json& row : golden["cases"]) {
    CAPTURE(name);
    CAPTURE(row["name"].get<std::string>());
    jinja::ValueArena arena;
    jinja::Variables variables;
    for (const auto& [key, value] : row["input"].items()) variables.emplace_back(arena.text(key).as_text(), to_value(value, arena));
    const auto text = (*chat)->render(variables, arena, clock_of(golden["strftime_now"]));
    if (row.contains("expected_error")) {
      REQUIRE_FALSE(text.ok());
      CHECK(text.status().message().find(row["expected_error"].get<std::string>()) != std::string::npos);
    } else {
      REQUIRE_MESSAGE(text.ok(), text.status().message());
      CHECK(*text == row["expected"].get<std::string>());
    }
  }
}

}  // namespace

TEST_CASE("chat goldens: published templates") {
  for (const char* name : {"qwen3", "llama3", "deepseek_v3"}) check_golden(name);
}

TEST_CASE("chat goldens: templates of our own") {
  for (const char* name : {"s-chatml", "s-inst", "s-whitespace", "s-filters", "s-tools-xml", "s-tools-typescript",
                          "s-rare-optional"}) check_golden(name);
}

TEST_CASE("the shipped model's template renders ChatML") {
  std::string path = test::model_path("storyteller-35m-q4_k_m.gguf");
  if (!file_exists(path)) path = test::shared_path("model/storyteller-35m-q4_k_m.gguf");
  if (!file_exists(path)) HOTSET_SKIP("the shipped model is absent");
  const auto file = GgufFile::open(path);
  REQUIRE(file.ok());
  const auto chat = ChatTemplate::parse((*file)->get_string("tokenizer.chat_template").value(), "", "<|endoftext|>");
  REQUIRE_MESSAGE(chat.ok(), chat.status().message());
  const ChatTurn turns[] = {{"user", "Tell me a story about a fox and a hen."}, {"assistant", "Once."}, {"user", "Go on."}};
  CHECK((*chat)->render({turns, 1}, true).value() ==
        "<|im_start|>user\nTell me a story about a fox and a hen.<|im_end|>\n<|im_start|>assistant\n");
  CHECK((*chat)->render(turns, false).value() ==
        "<|im_start|>user\nTell me a story about a fox and a hen.<|im_end|>\n<|im_start|>assistant\nOnce.<|im_end|>\n"
        "<|im_start|>user\nGo on.<|im_end|>\n");
}

TEST_CASE("expressions give what Jinja gives") {
  struct Row {
    const char* source;
    const char* expected;
  };
  for (const Row& row : {
           Row{"{{ 1 + 2 * 3 ** 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** -1 }}", "19 -4 2 3.5 0.5"},
           Row{"{{ 'a' ~ 1 ~ none ~ 2.0 }} {{ 'ab' * 2 }} {{ 1e20 }} {{ 1.5e-7 }}", "a1None2.0 abab 1e+20 1.5e-07"},
           Row{"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ 1 == 1.0 == true }}", "True False True True"},
           Row{"{{ not 1 is defined }} {{ 1 is not defined or 2 }} {{ x is undefined and 3 }}", "False 2 3"},
           Row{"{{ 'h\\u00e9llo'[1] }}{{ '\xE6\x97\xA5\xE6\x9C\xAC'|length }}{{ '\xE6\x97\xA5\xE6\x9C\xAC'[::-1] }}"
     "", "\xC3\xA9" "2\xE6\x9C\xAC\xE6\x97\xA5"},
           Row{"{{ [1,2,3,4][1:-1] }}{{ (1,) }}{{ [1,2,3][::2] }}{{ [1][5:] }}", "[2, 3](1,)[1, 3][]"},
           Row{"{{ \"it's\" }} {{ [\"it's\", 'q\"', 'b\\\\'] }}", "it's [\"it's\", 'q\"', 'b\\\\']"},
           Row{"{{ {'a': {'b': [1, none]}}['a'].b[0] }} {{ {'a': 1}.b is defined }}", "1 False"},
           Row{"{% set a, b = 1, [2] %}{{ a }}{{ b[0] }}{% set x | upper %}q{{ a }}{% endset %}{{ x }}", "12Q1"},
           Row{"{% for i in range(5) if i % 2 %}{{ i }}{{ ',' if not loop.last }}{% else %}no{% endfor %}", "1,3"},
           Row{"{% for a, b in {'x': 1}.items() %}{{ a ~ b }}{% endfor %}{% for i in [] %}{% else %}none{% endfor %}", "x1none"},
           Row{"{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "1"},
           Row{"{% set n = namespace(x=1) %}{% for i in [1] %}{% set n.x = 2 %}{% endfor %}{{ n.x }}", "2"},
           Row{"{% macro m(a, b='d') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m(b=2, a=3) }}", "[1d][32]"},
           Row{"{% with y = 3 %}{{ y }}{% endwith %}{{ y is defined }}", "3False"},
           Row{"{% filter upper %}a{% endfilter %}{% raw %}{{ x }}{% endraw %}{# no #}", "A{{ x }}"},
           Row{"{% generation %}a{% endgeneration %}{{ bos_token }}{{ eos_token }}", "a<s></s>"},
           Row{"{{ [3,1,2]|sort|join('-') }} {{ 'a b'|title }} {{ [1,2]|sum }} {{ 2.5|round|int }} {{ ['a','A']|unique|list }}", "1-2-3 A B 3 2 "
     "['a', 'A']"},
           Row{"{{ 'x\ny'|indent(2, true) }} {{ [1,[2]]|tojson(indent=1) }}", "  x\n  y [\n 1,\n [\n  2\n ]\n]"},
           Row{"{{ strftime_now('%d %b %Y') }}", "09 Mar 2025"},
       }) {
    CAPTURE(row.source);
    const auto text = render(row.source);
    CHECK_MESSAGE(text.ok(), text.status().message());
    if (text.ok()) CHECK(*text == row.expected);
  }
}

// Expected texts are those of Python's jinja2.
TEST_CASE("what templates of current models ask for beyond the goldens") {
  struct Row {
    const char* source;
    const char* expected;
  };
  for (const Row& row : {
           Row{"{% macro m(a, b) %}{{ a }}{{ b }}{{ caller(1) if caller is defined }}{% endmacro %}"
               "{% set k = 'o' %}{% for i in [7] %}{% call(x) m(*[2], **{'b': 3}) %}<{{ k }}{{ i }}{{ x }}>{% endcall %}{% endfor %}{{ m(4) }}",
               "23<o71>4"},
           Row{"{% macro outer() %}[{{ caller() }}]{% endmacro %}{% call outer() %}{% call outer() %}x{% endcall %}{% endcall %}", "[[x]]"},
           Row{"{% for n in [{'v': 1, 'c': [{'v': 2, 'c': []}]}, {'v': 3, 'c': []}] recursive %}{{ n.v }}@{{ loop.depth }}{% if n.c %}({{ "
               "loop(n.c) }}){% endif %}{% endfor %}",
               "1@1(2@2)3@1"},
           Row{"{% set d = {1: 'a', 512: 'b', true: 'c'} %}{{ d }} {{ d[512] }} {% for k, v in d | dictsort(reverse=true) %}{{ k + 1 }}{{ v }} "
     "{% endfor %}"
               "{{ d | tojson }} {{ 512 in d }}",
               "{1: 'c', 512: 'b'} b 513b 2c {\"1\": \"c\", \"512\": \"b\"} True"},
           Row{"{{ strftime_now is defined }} {{ strftime_nowhere is defined }} {{ range is callable }} {{ raise_exception is none }}",
               "True False True False"},
           Row{"{{ {'b': [1, 2], 'a': 'é'} | tojson(separators=(',', ':'), sort_keys=true) }} {{ {'b': [1]} | tojson(separators=[', ', '='], "
     "indent=1) }}",
               "{\"a\":\"é\",\"b\":[1,2]} {\n \"b\"=[\n  1\n ]\n}"},
           Row{"{{ 'é😀' | tojson(ensure_ascii=true) }}", "\"\\u00e9\\ud83d\\ude00\""},
           Row{"{% for g in [{'k': 'y', 'v': 1}, {'k': 'x', 'v': 2}, {'k': 'y', 'v': 3}] | groupby('k') %}{{ g.grouper }}:{{ g.list | "
     "map(attribute='v') | join('+') }}"
               "{{ g[0] }} {% endfor %}",
               "x:2x y:1+3y "},
           Row{"{{ [1,2,3,4,5] | batch(2, 'z') | list }} {{ [1,2,3,4] | slice(3) | list }} {{ 'a b  c' | wordcount }} {{ {'a': 1} | attr('b') }}",
               "[[1, 2], [3, 4], [5, 'z']] [[1, 2], [3], [4]] 3 "},
           Row{"{{ '%5.1f|%-4d|%04d|%s|%r|%%|%x' % (2.25, 3, -7, [1], 'q', 255) }} {{ '{} {x} {{}}'.format(1, x=3) }}",
               "  2.2|3   |-007|[1]|'q'|%|ff 1 3 {}"},
           Row{"{{ 'a b c'.split(none, 1) }} {{ ' a  b '.split() }} {{ 'a-b-c'.rsplit('-', 1) }} {{ 'x\\ny\\r\\nz'.splitlines() }}",
               "['a', 'b c'] ['a', 'b'] ['a-b', 'c'] ['x', 'y', 'z']"},
           Row{"{{ 'prefix'.removeprefix('pre') }} {{ 'a.py'.removesuffix('.py') }} {{ '12'.isdigit() }} {{ ''.isalpha() }} {{ 'aba'.rfind('a') }"
     "} {{ '7'.zfill(3) }} "
               "{{ '-7'.zfill(4) }} {{ 'ab'.center(5) }}| {{ 'ab'.ljust(4) }}|",
               "fix a True False 2 007 -007   ab | ab  |"},
           Row{"{{ none | selectattr('x') | list }} {{ undefined_name | map('upper') | list }} {{ [1, 2, 1].count(1) }} {{ ['a'].index('a') }}"
     "", "[] [] 2 0"},
           Row{"{% for i in [1, 1, 2] %}{{ loop.changed(i) }} {% endfor %}{{ namespace is defined }}", "True False True True"},
       }) {
    const std::string source = row.source;
    CAPTURE(source);
    const auto text = render(source);
    CHECK_MESSAGE(text.ok(), text.status().message());
    if (text.ok()) CHECK(*text == row.expected);
  }
}

TEST_CASE("what a template cannot do is an error with the construct and its line") {
  struct Row {
    const char* source;
    const char* message;
  };
  for (const Row& row : {
           Row{"\n{% include 'x' %}", "line 2: statement 'include'"},
           Row{"{% call f() %}{% endcall %}", "'call' takes a macro, not 'Undefined'"},
           Row{"{% call f %}{% endcall %}", "'call' takes a call"},
           Row{"{{ range(3)(1) }}", "'list' object is not callable"},
           Row{"{% for x in [1] %}{{ loop([2]) }}{% endfor %}", "only a recursive loop"},
           Row{"{{ '%d' % 'x' }}", "%d takes a number"},
           Row{"{{ '%s %s' | format(1) }}", "not enough arguments"},
           Row{"{{ '{a}'.format(b=1) }}", "nothing for '{a}'"},
           Row{"\n\n{{ 1 | frobnicate }}", "line 3: filter 'frobnicate'"},
           Row{"{{ 1 is frobnicated }}", "test 'frobnicated'"},
           Row{"{{ frobnicate() }}", "function 'frobnicate'"},
           Row{"{{ 'x'.frobnicate() }}", "'str object' has no attribute 'frobnicate'"},
           Row{"{{ x.y }}", "'x' is undefined"},
           Row{"{{ 'a' + 1 }}", "unsupported operand types for +: 'str' and 'int'"},
           Row{"{{ 'a' + x }}", "'x' is undefined"},
           Row{"{{ 1 / 0 }}", "division by zero"},
           Row{"{{ 1 < 'a' }}", "no order"},
           Row{"{% for x in 5 %}{% endfor %}", "'int' object is not iterable"},
           Row{"{% for a, b in [[1]] %}{% endfor %}", "1 values for 2 names"},
           Row{"{{ 9223372036854775807 + 1 }}", "too large"},
           Row{"{{ 99999999999999999999 }}", "out of range"},
           Row{"{{ raise_exception('own words') }}", "own words"},
           Row{"{% set x.y = 1 %}", "no namespace"},
           Row{"{{ x", "tag without end"},
           Row{"{% if x %}", "expected {% endif %}"},
           Row{"{% endif %}", "statement 'endif'"},
           Row{"{# x", "comment without end"},
           Row{"{% raw %}", "endraw"},
           Row{"{{ 'x }}", "string without end"},
           Row{"{{ '\\xZZ' }}", "escape"},
           Row{"{{ ) }}", "unexpected ')'"},
           Row{"{{ ? }}", "unexpected character"},
           Row{"{{ 1 2 }}", "expected '}}'"},
           Row{"{{ }}", "expected an expression"},
           Row{"{{ a[] }}", "expected an index"},
           Row{"{% break %}", "outside a loop"},
           Row{"{% %}", "expected a statement"},
           Row{"{{ dict(**[1]) }}", "only a mapping can follow **"},
           Row{"{{ {[1]: 2} }}", "keys of type"},
           Row{"{{ namespace(a=1)|tojson }}", "cannot be printed"},
       }) {
    const std::string source = row.source;
    CAPTURE(source);
    const auto text = render(source);
    REQUIRE_FALSE(text.ok());
    CHECK_MESSAGE(text.status().message().find(row.message) != std::string::npos, text.status().message());
    CHECK(text.status().message().starts_with("chat template: "));
  }
}

TEST_CASE("hostile templates end with an error") {
  const std::string open(100000, '(');
  std::string nested_if;
  for (int i = 0; i < 5000; ++i) nested_if += "{% if 1 %}";
  std::string sum = "1";
  for (int i = 0; i < 50000; ++i) sum += "+1";
  std::string filters = "1";
  for (int i = 0; i < 50000; ++i) filters += "|abs";
  std::string nots;
  for (int i = 0; i < 50000; ++i) nots += "not ";
  const std::string cases[] = {
      "{{ " + open,
      "{{ " + std::string(100000, '['),
      "{{ " + std::string(100000, '-') + "1 }}",
      "{{ " + sum + " }}",
      "{{ " + filters + " }}",
      "{{ " + nots + "1 }}",
      nested_if,
      std::string((1 << 20) + 1, 'x'),
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro m() %}{{ caller() }}{% call m() %}x{% endcall %}{% endmacro %}{% call m() %}y{% endcall %}",
      "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{{ '%1000d' % 1 * 9999 }}{% for i in range(99999) %}{{ '%1000d' % i }}{% endfor %}",
      "{{ '%99999999d' % 1 }}",
      "{{ 'x'.center(999999999) }}",
      "{{ [1] | batch(99999999) }}",
      "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
      "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
      "{% set n = namespace(x=[1]) %}{% for i in range(5000) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
      "{% for i in range(90000) %}" + std::string(2000, 'x') + "{% endfor %}",
      "{{ 'x' * 999999999999 }}",
      "{{ ('x' * 9999999)|replace('x', 'x' * 99999) }}",
      "{{ range(999999999) }}",
      "{% set n = namespace(s='x' * 9999999) %}{% for i in range(90000) %}{{ 'y' in n.s }}{% endfor %}",
  };
  // Lists that share items: 2^60 values to compare.
  std::string doubled = "{% set n = namespace(a=[], b=[]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}";
  CHECK_FALSE(render(doubled + "{% set n.b = [n.b, n.b] %}{% endfor %}{{ n.a == n.b }}").ok());
  for (const std::string& source : cases) {
    CAPTURE(source.substr(0, 80));
    CHECK_FALSE(render(source).ok());
  }
}

TEST_CASE("a namespace may hold itself") {
  CHECK(render("{% set n = namespace() %}{% set n.me = n %}{{ n.me.me.me == n }}").value() == "True");
  CHECK_FALSE(render("{% set n = namespace() %}{% set n.me = [n] %}{{ n.me }}").ok());
}

TEST_CASE("chat templates take JSON: messages with calls, tools, variables") {
  const std::string source =
      "{% for t in tools %}<{{ t.function.name }}>{% endfor %}{% for m in messages %}[{{ m.role }}:{{ m.content }}"
      "{% for c in m.tool_calls %}{{ c.function.arguments | tojson }}{% endfor %}]{% endfor %}"
      "{% if add_generation_prompt %}A{% endif %}{% if thinking is defined %}{{ thinking }}{% endif %}";
  const auto chat = ChatTemplate::parse(source, "", "");
  REQUIRE_MESSAGE(chat.ok(), chat.status().message());
  const auto rendered = [&](std::string_view messages, std::string_view tools, std::string_view variables) {
    const auto text = (*chat)->render_json(messages, tools, variables);
    REQUIRE_MESSAGE(text.ok(), text.status().message());
    return *text;
  };
  const char* const call = R"([{"role": "assistant", "content": null, "tool_calls": [{"function": {"arguments": {"z": 1, "a": [2.5, true]}}}]}])";
  CHECK(rendered(R"([{"role": "user", "content": "h\u00e4"}])", "", "") == "[user:h\u00e4]A");
  CHECK(rendered(call, "", R"({"add_generation_prompt": false})") == R"([assistant:None{"z": 1, "a": [2.5, true]}])");
  CHECK(rendered("[]", R"([{"function": {"name": "f"}}, {"function": {"name": "g"}}])", R"({"thinking": 18446744073709551615})") ==
        "<f><g>A1.8446744073709552e+19");
  struct Bad {
    const char *messages, *tools, *variables, *said;
  };
  const std::string deep = std::string(300, '[') + std::string(300, ']');
  for (const Bad& bad : {Bad{"", "", "", "messages"}, {"{}", "", "", "messages"}, {"[", "", "", "messages"}, {"[]", "{}", "", "tools"}, {"[]", "nothing", "", "tools"},
                         {"[]", "", "[]", "variables"}, {"[]", "", "\"x\"", "variables"}, {deep.c_str(), "", "", "nested"}, {"[\"\xff\"]", "", "", "messages"}}) {
    const auto text = (*chat)->render_json(bad.messages, bad.tools, bad.variables);
    REQUIRE_FALSE(text.ok());
    CAPTURE(bad.messages);
    CHECK(text.status().code() == Code::kInvalidArgument);
    CHECK(text.status().message().find(bad.said) != std::string::npos);
  }
}
