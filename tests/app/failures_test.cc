// What the world can do to a run of the program: exit code 1 and one line that says what was wrong.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "platform/file.h"
#include "tests/app/program.h"
#include "tests/test_support.h"

namespace {

using hotset::test::ProgramResult;
using hotset::test::run_hotset;
using hotset::test::TemporaryFile;

void check_failure(const ProgramResult& result, const std::string& says) {
  CAPTURE(result.err);
  CAPTURE(says);
  CHECK(result.exit_code == 1);
  CHECK(result.out.empty());
  CHECK(result.err.starts_with("hotset: "));
  CHECK(result.err.find(says) != std::string::npos);
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
}

std::string shipped_model() { return hotset::test::model_path("storyteller-35m-q4_k_m.gguf"); }

}  // namespace

TEST_CASE("program: a model that cannot be opened") {
  const std::vector<std::vector<std::string>> commands = {
      {"run", "MODEL", "-p", "x"}, {"eval", "MODEL", "--tokens", "1", "--logits", "/dev/null"}, {"bench", "MODEL"},
      {"inspect", "MODEL"},        {"tokenize", "MODEL", "x"}};
  const TemporaryFile text("not a model\n"), empty("");
  const std::vector<std::pair<std::string, std::string>> models = {
      {"/nonexistent/model.gguf", "No such file"},
      {"/tmp", "is a directory"},
      {"/dev/null", "not a regular file"},
      {text.path(), text.path()},
      {empty.path(), empty.path()},
  };
  for (auto command : commands) {
    for (const auto& [model, says] : models) {
      command[1] = model;
      check_failure(run_hotset(command), says);
    }
  }
}

TEST_CASE("program: an unreadable model") {
  if (::geteuid() == 0) HOTSET_SKIP("root reads every file");
  const TemporaryFile file("GGUF");
  REQUIRE(::chmod(file.path().c_str(), 0) == 0);
  check_failure(run_hotset({"run", file.path(), "-p", "x"}), "Permission denied");
}

TEST_CASE("program: a model cut off at many places") {
  const auto whole = hotset::read_whole_file(shipped_model(), 1 << 30);
  REQUIRE(whole.ok());
  for (const size_t length : {size_t{1}, size_t{4}, size_t{8}, size_t{23}, size_t{100}, size_t{5000}, whole->size() / 2,
                              whole->size() - 1}) {
    const TemporaryFile cut(whole->substr(0, length));
    check_failure(run_hotset({"run", cut.path(), "-p", "x"}), "");
    check_failure(run_hotset({"inspect", cut.path()}), "");
  }
}

TEST_CASE("program: requests that cannot be met") {
  const TemporaryFile bad_list("1, 2, three"), one_letter("a");
  const std::string long_prompt(4000, 'x');
  const std::vector<std::pair<std::vector<std::string>, std::string>> table = {
      {{"run", "-p", "x", "--vram", "0"}, "vram"},
      {{"run", "-p", "x", "--vram", "0%"}, "vram"},
      {{"run", "-p", "x", "--vram", "1M"}, "vram"},
      {{"run", "-p", "x", "--device", "no such device"}, "no such device"},
      {{"run", "-p", "x", "--device", "99"}, "99"},
      {{"run", "-p", ""}, "prompt is empty"},
      {{"run", "-p", "\xff\xfe"}, "UTF-8"},
      {{"run", "-p", long_prompt, "--ctx", "16"}, "context"},
      {{"run", "-f", "/nonexistent"}, "No such file"},
      {{"run", "-f", "/tmp"}, "is a directory"},
      {{"eval", "--tokens", "@/nonexistent", "--logits", "/dev/null"}, "No such file"},
      {{"eval", "--tokens", "@" + bad_list.path(), "--logits", "/dev/null"}, "'three' is not a token id"},
      {{"eval", "--tokens", "99999", "--logits", "/dev/null"}, "99999"},
      {{"eval", "--tokens", "1", "--logits", "/nonexistent/out"}, "cannot write"},
      {{"eval", "--tokens", "1,2,3", "--logits", "/dev/full"}, "cannot write"},
      {{"eval", "--text", "/nonexistent"}, "No such file"},
      {{"eval", "--text", one_letter.path()}, "too short"},
      {{"eval", "--text", one_letter.path(), "--ctx", "64", "--window", "65"}, "does not fit the context of 64"},
      {{"bench", "--prompt-tokens", "100", "--gen-tokens", "100", "--ctx", "128"}, "do not fit the context of 128"},
      {{"tokenize", "--decode", "99999"}, "99999"},
      {{"tokenize", "-f", "/nonexistent"}, "No such file"},
      {{"tokenize", "\xc3"}, "UTF-8"},
  };
  for (const auto& [args, says] : table) check_failure(run_hotset(args), says);
}

TEST_CASE("program: a full disk is an error, a closed pipe is not") {
  const auto full = hotset::test::run_shell("exec \"$HOTSET\" tokenize hello >/dev/full");
  CHECK(full.exit_code == 1);
  CHECK(full.err == "hotset: cannot write to standard output: No space left on device\n");
  // The reader leaves at once; what the program does is seen by its exit code, which the shell prints.
  const auto closed = hotset::test::run_shell("{ \"$HOTSET\" run -p Once -n 200 --seed 1; echo $? >&2; } | true");
  CHECK(closed.err == "0\n");
}
