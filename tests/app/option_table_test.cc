#include "runtime/engine/option_table.h"

#include <doctest/doctest.h>

#include <set>

#include "platform/file.h"
#include "tests/test_support.h"

using namespace hotset;

namespace {

// The README's table of the options, as the option table would have it.
std::string readme_table() {
  std::string text = "| flag | default | what it does |\n| --- | --- | --- |\n";
  for (const OptionSpec& option : option_table()) {
    std::string value = option.value_name;
    for (size_t at = 0; (at = value.find('|', at)) != std::string::npos; at += 2) value.insert(at, "\\");
    const std::string flag = std::string("--") + option.name + (value.empty() ? "" : " " + value);
    const std::string shown_default = option.kind == OptionKind::kSwitch ? "off" : default_text(option);
    text += "| `" + flag + "` | " + shown_default + " | " + option.help + " |\n";
  }
  return text;
}

}  // namespace

TEST_CASE("option table: every default can be set again, and every option says when to change it") {
  std::set<std::string> names;
  for (const OptionSpec& option : option_table()) {
    CAPTURE(option.name);
    CHECK(names.insert(option.name).second);
    CHECK(std::string_view(option.help).ends_with('.'));
    OptionSet options;
    CHECK(option.set(options, default_text(option)).ok());
    CHECK(option.get(options) == default_text(option));
    CHECK(find_option(option.name) == &option);
  }
  CHECK(find_option("nope") == nullptr);
}

TEST_CASE("option table: what is set is what is got") {
  const std::vector<std::pair<const char*, const char*>> table = {
      {"device", "NVIDIA"}, {"vram", "1048576"}, {"vram", "80%"},      {"vram", "12.5%"},   {"vram", "auto"},
      {"vram", "0"},        {"ctx", "8192"},     {"batch", "1"},       {"threads", "3"},    {"policy", "lru"},
      {"ram", "80%"},       {"ram", "auto"},     {"miss", "cpu"},      {"prefetch", "history"}, {"hot-set", "a b"}, {"pack", "x"},
      {"kv-type", "f32"},   {"block-sparse", "true"}, {"validation", "true"}, {"seed", "18446744073709551615"},       {"temp", "0.7"},
      {"temp", "0"},        {"top-k", "1"},      {"top-p", "0.5"},     {"min-p", "0"},      {"repeat-penalty", "1.1"},
      {"repeat-last-n", "0"}};
  for (const auto& [name, text] : table) {
    CAPTURE(name);
    OptionSet options;
    REQUIRE(set_option(options, name, text).ok());
    CHECK(find_option(name)->get(options) == text);
  }
  OptionSet options;
  REQUIRE(set_option(options, "vram", "6GiB").ok());
  CHECK(options.engine.vram->bytes == uint64_t{6} << 30);
}

TEST_CASE("option table: a value that is refused changes nothing and is named") {
  const std::vector<std::pair<const char*, const char*>> table = {
      {"vram", "lots"},  {"vram", "-1"},     {"ctx", "1k"},       {"ctx", "4294967296"}, {"batch", "0"},
      {"threads", ""},   {"policy", "LRU"},  {"kv-type", "bf16"}, {"validation", "1"},   {"seed", "-1"},
      {"temp", "inf"},   {"temp", "0.7x"},   {"top-k", "1.0"},    {"top-p", "1.01"},     {"min-p", "-0.1"},
      {"repeat-penalty", "0"}, {"repeat-last-n", " 1"}, {"device", ""}};
  for (const auto& [name, text] : table) {
    CAPTURE(name);
    CAPTURE(text);
    OptionSet options;
    const Status status = set_option(options, name, text);
    CHECK(status.code() == Code::kInvalidArgument);
    CHECK(status.message().starts_with(name));
    CHECK(find_option(name)->get(options) == default_text(*find_option(name)));
  }
  OptionSet options;
  CHECK(set_option(options, "nope", "1").code() == Code::kNotFound);
}

TEST_CASE("option table: the README shows it") {
  const auto readme = read_whole_file(std::string(HOTSET_SOURCE_DIR) + "/README.md", 1 << 20);
  REQUIRE(readme.ok());
  CHECK_MESSAGE(readme->find(readme_table()) != std::string::npos, "README.md should hold this table:\n" << readme_table());
}

TEST_CASE("shipped model: it is found") {
  const auto path = shipped_model_path();
  REQUIRE(path.ok());
  CHECK(file_exists(*path));
}
