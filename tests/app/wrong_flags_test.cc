// Command lines that are wrong: exit code 2 and one line that says what and where to look.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/app/program.h"

namespace {

using hotset::test::run_hotset;

struct WrongFlags {
  std::vector<std::string> args;
  const char* says;
};

const std::vector<WrongFlags> kTable = {
    {{}, "no command was given"},
    {{""}, "is not a command"},
    {{"walk"}, "'walk' is not a command"},
    {{"--nope"}, "subcommand"},
    {{"run", "--nope"}, "--nope"},
    {{"run", "a.gguf", "b.gguf"}, "b.gguf"},
    {{"run", "-p"}, "--prompt"},
    {{"run", "-p", "a", "-f", "b"}, "--prompt and --file"},
    {{"run", "-n", "-5"}, "--max-tokens"},
    {{"run", "-n", "many"}, "--max-tokens"},
    {{"run", "--vram"}, "--vram"},
    {{"run", "--vram", "banana"}, "--vram: 'banana' is not a size"},
    {{"run", "--vram", ""}, "--vram"},
    {{"run", "--vram", "-1"}, "--vram"},
    {{"run", "--vram", "101%"}, "--vram"},
    {{"run", "--vram", "6QiB"}, "--vram"},
    {{"run", "--vram", "1e300"}, "--vram"},
    {{"run", "--vram", "nan"}, "--vram"},
    {{"run", "--ctx", "-1"}, "--ctx"},
    {{"run", "--ctx", "99999999999999999999"}, "--ctx"},
    {{"run", "--batch", "0"}, "--batch"},
    {{"run", "--threads", "1.5"}, "--threads"},
    {{"run", "--policy", "coin"}, "--policy: 'coin' is not a policy"},
    {{"run", "--kv-type", "f64"}, "--kv-type"},
    {{"run", "--device", ""}, "--device"},
    {{"run", "--temp", "-1"}, "--temp"},
    {{"run", "--temp", "nan"}, "--temp"},
    {{"run", "--top-p", "2"}, "--top-p"},
    {{"run", "--min-p", "x"}, "--min-p"},
    {{"run", "--top-k", "-1"}, "--top-k"},
    {{"run", "--repeat-penalty", "0"}, "--repeat-penalty"},
    {{"run", "--seed", "0x10"}, "--seed"},
    {{"run", "--log-level", "loud"}, "--log-level"},
    {{"eval"}, "either --tokens or --text"},
    {{"eval", "--tokens", "1", "--text", "a"}, "either --tokens or --text"},
    {{"eval", "--tokens", "1"}, "--tokens and --logits go together"},
    {{"eval", "--text", "a", "--logits", "b"}, "--tokens and --logits go together"},
    {{"eval", "--tokens", "1,x", "--logits", "o"}, "'x' is not a token id"},
    {{"eval", "--tokens", "1,-2", "--logits", "o"}, "'-2' is not a token id"},
    {{"eval", "--tokens", "4294967296", "--logits", "o"}, "'4294967296' is not a token id"},
    {{"eval", "--tokens", ",", "--logits", "o"}, "no token ids"},
    {{"eval", "--text", "a", "--window", "1"}, "--window"},
    {{"eval", "--text", "a", "--max-tokens", "-1"}, "--max-tokens: -1 is below 0"},
    {{"bench", "--reps", "0"}, "--reps"},
    {{"bench", "--prompt-tokens", "0"}, "--prompt-tokens"},
    {{"bench", "--gen-tokens", "-1"}, "--gen-tokens"},
    {{"inspect", "a", "b"}, "b"},
    {{"plan"}, "either a MODEL file or --shape"},
    {{"plan", "a.gguf", "--shape", "b", "--gpu", "c", "--ram", "1G"}, "either a MODEL file or --shape"},
    {{"plan", "--shape", "kimi-k2", "--ram", "1G"}, "--gpu or --links"},
    {{"plan", "--shape", "kimi-k2", "--links", "l", "--ram", "1G"}, "--links needs --vram"},
    {{"plan", "--shape", "kimi-k2", "--gpu", "RTX 3060"}, "--ram is needed"},
    {{"plan", "a.gguf", "--gpu", "RTX 3060", "--ram", "1G", "--quant", "Q4_K"}, "--quant goes with --shape"},
    {{"plan", "--shape", "kimi-k2", "--gpu", "RTX 3060", "--ram", "1G", "--ctx", "0"}, "--ctx"},
    {{"devices", "--vram", "1G"}, "--vram"},
    {{"tokenize", "a", "b", "c"}, "c"},
    {{"tokenize", "m.gguf", "-f", "a", "--decode", "1"}, "more than one"},
    {{"tokenize", "--decode", "one"}, "'one' is not a token id"},
};

}  // namespace

TEST_CASE("program: wrong flags exit with 2 and one line") {
  for (const WrongFlags& row : kTable) {
    const auto result = run_hotset(row.args);
    CAPTURE(result.err);
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(result.err.starts_with("hotset: "));
    CHECK(result.err.find(row.says) != std::string::npos);
    CHECK(result.err.find("--help'") != std::string::npos);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
}

TEST_CASE("program: help and version go to stdout and exit with 0") {
  const std::vector<std::vector<std::string>> lines = {{"--help"},          {"--version"},        {"run", "--help"},
                                                       {"eval", "--help"},  {"bench", "--help"},  {"inspect", "--help"},
                                                       {"devices", "-h"},   {"tokenize", "-h"}};
  for (const auto& args : lines) {
    const auto result = run_hotset(args);
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
    CHECK(!result.out.empty());
  }
}

TEST_CASE("program: help of run names every option of the table and keeps to 100 columns") {
  const auto result = run_hotset({"run", "--help"});
  for (const char* flag : {"--device", "--vram", "--ctx", "--batch", "--threads", "--policy", "--seed", "--temp", "--top-k",
                           "--top-p", "--min-p", "--repeat-penalty", "--log-level", "--verbose", "--json"}) {
    CAPTURE(flag);
    CHECK(result.out.find(flag) != std::string::npos);
  }
  size_t longest = 0, start = 0;
  for (size_t end; (end = result.out.find('\n', start)) != std::string::npos; start = end + 1) longest = std::max(longest, end - start);
  CHECK(longest <= 100);
}
