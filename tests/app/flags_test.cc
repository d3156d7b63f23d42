#include "runtime/app/flags.h"

#include <doctest/doctest.h>

#include "runtime/app/command_line.h"

using namespace hotset;

namespace {

// A command with a flag of each kind of target.
struct Fields {
  bool loud = false;
  std::string name = "none";
  uint32_t count = 3;
  uint64_t size = 4;
  std::optional<std::string> maybe_name;
  std::optional<uint32_t> maybe_count;
  std::optional<uint64_t> maybe_size;
  std::vector<std::string> words;
  std::vector<uint32_t> numbers;
  std::string told;
  int acted = 0;

  CommandFlags declare() {
    CommandFlags command{"do", "Does it", {}};
    Flags& flags = command.flags;
    flags.add("WORDS", &words, "Words.");
    flags.add("-l,--loud", &loud, "Loud.");
    flags.add("--name", &name, "A name.").one_of({"none", "one"}).last_wins();
    flags.add("--count", &count, "A count.").range(1, 9);
    flags.add("--size", &size, "A size.");
    flags.add("--maybe-name", &maybe_name, "A name.").check([](const std::string& text) { return text == "bad" ? "it is bad" : std::string(); });
    flags.add("--maybe-count", &maybe_count, "A count.");
    flags.add("--maybe-size", &maybe_size, "A size.");
    flags.add("--numbers", &numbers, "Numbers.").comma_separated();
    flags.add("--tell", [this](const std::string& text) { told = text; }, "Tells.");
    flags.add("--act", [this] { ++acted; }, "Acts.");
    return command;
  }

  ParsedLine parse(std::vector<std::string> words_after) {
    const std::vector<CommandFlags> commands = {declare()};
    words_after.insert(words_after.begin(), {"program", "do"});
    return parse_command_line({.name = "program", .description = "A program", .version = "1"}, commands, words_after);
  }
};

}  // namespace

TEST_CASE("flags: each kind of target takes its value") {
  Fields fields;
  const ParsedLine line = fields.parse({"a", "b", "-l", "--name", "none", "--name", "one", "--count", "9", "--size", "18446744073709551615",
                                        "--maybe-name", "", "--maybe-count", "0", "--maybe-size", "7", "--numbers", "1,2", "--tell", "it", "--act"});
  CHECK(line.flaw == "");
  CHECK(line.command == "do");
  CHECK(!line.is_answered);
  CHECK(fields.words == std::vector<std::string>{"a", "b"});
  CHECK(fields.loud);
  CHECK(fields.name == "one");
  CHECK(fields.count == 9);
  CHECK(fields.size == UINT64_MAX);
  CHECK(fields.maybe_name == "");
  CHECK(fields.maybe_count == 0u);
  CHECK(fields.maybe_size == 7u);
  CHECK(fields.numbers == std::vector<uint32_t>{1, 2});
  CHECK(fields.told == "it");
  CHECK(fields.acted == 1);
}

TEST_CASE("flags: what is not given keeps its default") {
  Fields fields;
  CHECK(fields.parse({}).flaw == "");
  CHECK(fields.name == "none");
  CHECK(fields.count == 3);
  CHECK(!fields.maybe_name);
  CHECK(!fields.maybe_count);
  CHECK(fields.numbers.empty());
  CHECK(fields.acted == 0);
}

TEST_CASE("flags: a wrong value names its flag") {
  const std::vector<std::pair<std::vector<std::string>, const char*>> table = {
      {{"--name", "two"}, "--name: two not in {none,one}"}, {{"--count", "0"}, "--count: Value 0 not in range 1 to 9"},
      {{"--count", "2", "--count", "3"}, "--count"},        {{"--size", "x"}, "--size"},
      {{"--maybe-name", "bad"}, "--maybe-name: it is bad"}, {{"--numbers", "1,x"}, "--numbers"},
      {{"--tell"}, "--tell"},                               {{"--nope"}, "--nope"}};
  for (const auto& [words, says] : table) {
    const ParsedLine line = Fields().parse(words);
    CAPTURE(line.flaw);
    CHECK(line.command == "do");
    CHECK(line.flaw.find(says) != std::string::npos);
  }
}

TEST_CASE("flags: help comes first, and long names stand without the short ones") {
  Fields fields;
  const CommandFlags command = fields.declare();
  CHECK(command.flags.specs()[0].long_names() == std::vector<std::string>{"--help"});
  CHECK(command.flags.specs()[1].long_names().empty());
  CHECK(command.flags.specs()[2].long_names() == std::vector<std::string>{"--loud"});
}

TEST_CASE("help: texts are broken between words") {
  bool field = false;
  const auto help_of = [&](const std::string& text) {
    Flags flags;
    flags.add("--flag", &field, text);
    return flags.specs().back().help;
  };
  CHECK(help_of("one two " + std::string(66, 'x') + " three") == "one two\n" + std::string(66, 'x') + "\nthree");
  CHECK(help_of("") == "");
}
