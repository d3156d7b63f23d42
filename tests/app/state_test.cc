// `hotset run --save-state` and `--load-state`: a story in two runs is the story of one, and what cannot be saved or loaded is told at once.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "platform/crc32c.h"
#include "platform/file.h"
#include "tests/app/program.h"
#include "tests/temp_folder.h"
#include "tests/test_support.h"

using namespace hotset::test;

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = 1u << 30;

ProgramResult tell(std::vector<std::string> args) {
  args.insert(args.begin(), {"run", "--device", "cpu", "--ctx", "256"});
  return run_hotset(args);
}

ProgramResult told(const std::vector<std::string>& args) {
  ProgramResult result = tell(args);
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  return result;
}

std::vector<std::string> operator+(std::vector<std::string> args, const std::vector<std::string>& more) {
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

// Says so before the first word, in one line.
void check_refused(const std::vector<std::string>& args, const std::string& says) {
  const ProgramResult result = tell(args);
  CAPTURE(says);
  CAPTURE(result.err);
  CHECK(result.exit_code == 1);
  CHECK(result.out.empty());
  CHECK(result.err.starts_with("hotset: "));
  CHECK(result.err.find(says) != std::string::npos);
  CHECK(std::ranges::count(result.err, '\n') == 1);
}

size_t files_in(const TempFolder& folder) { return static_cast<size_t>(std::distance(fs::directory_iterator(folder.path()), {})); }

std::string bytes_of(const std::string& path) { return hotset::read_whole_file(path, kMostBytes).value(); }

// The state of another model, with a checksum that fits.
std::string strangers(std::string state) {
  constexpr size_t kHeaderBytes = 128, kCrcAt = 12, kModelAt = 16;
  state[kModelAt] = static_cast<char>(state[kModelAt] ^ 1);
  std::memset(&state[kCrcAt], 0, sizeof(uint32_t));
  const uint32_t crc = hotset::crc32c(std::as_bytes(std::span(state)).first(kHeaderBytes));
  std::memcpy(&state[kCrcAt], &crc, sizeof crc);
  return state;
}

const std::vector<std::string> kStart = {"-p", "Once upon a time"};

}  // namespace

TEST_CASE("program: a story that is saved and loaded goes on as the uncut one") {
  const TempFolder folder;
  const std::string state = folder.file("state");
  const std::vector<std::vector<std::string>> samplings = {{"--temp", "0"}, {"--temp", "0.9", "--seed", "7", "--repeat-penalty", "1.2"}};
  for (const auto& sampling : samplings) {
    const std::string whole = told(kStart + sampling + std::vector<std::string>{"-n", "24"}).out;
    const std::string first = told(kStart + sampling + std::vector<std::string>{"-n", "9", "--save-state", state}).out;
    const std::string second = told({"--load-state", state, "-p", "", "-n", "7", "--save-state", state}).out;
    const std::string third = told({"--load-state", state, "-p", "", "-n", "8"}).out;
    CHECK(first + second + third == whole);
    CHECK(files_in(folder) == 1);
  }
  // Flags of the run take the place of the saved sampling.
  const auto greedy = [&] { return told({"--load-state", state, "-p", "", "-n", "8", "--temp", "0"}).out; };
  CHECK(greedy() == greedy());
  CHECK(told({"--load-state", state, "-p", "", "-n", "8"}).out != greedy());
}

TEST_CASE("program: a seed is told where it is the run's, and not where the state has it") {
  const TempFolder folder;
  const std::string state = folder.file("state");
  const auto seed = [&](const std::vector<std::string>& args) {
    return nlohmann::json::parse(told(args + std::vector<std::string>{"-n", "1", "--json"}).out)["seed"];
  };
  CHECK(seed(kStart + std::vector<std::string>{"--seed", "5", "--save-state", state}) == 5);
  CHECK(seed({"--load-state", state, "-p", ""}).is_null());
  CHECK(seed({"--load-state", state, "-p", "", "--seed", "6"}) == 6);
}

TEST_CASE("program: a chat begins with what a saved one has in common with it") {
  const TempFolder folder;
  const std::string state = folder.file("state");
  const std::string system = "You tell short stories about animals that live in the wood.";
  const std::vector<std::string> chat = {"--chat", "--temp", "0", "--system", system, "--json"};
  const std::vector<std::string> question = {"-p", "Tell me about a fox.", "-n", "12"};
  const auto answer = [&](const std::vector<std::string>& args) { return nlohmann::json::parse(told(chat + args).out); };
  const auto alone = answer(question);
  answer({"-p", "Hello.", "-n", "1", "--save-state", state});
  const auto after = answer(question + std::vector<std::string>{"--load-state", state});
  CHECK(after["text"] == alone["text"]);
  CHECK(after["figures"]["prompt"]["tokens"].get<int>() + 8 < alone["figures"]["prompt"]["tokens"].get<int>());
}

TEST_CASE("program: a prompt is read and kept, and nothing written") {
  const TempFolder folder;
  const std::string state = folder.file("state");
  const std::vector<std::string> sampling = {"--temp", "0.9", "--seed", "7"}, keep = {"--prefill-only", "--save-state", state};
  const std::vector<std::string> go_on = {"--load-state", state, "-n", "12"};
  CHECK(told(kStart + sampling + keep).out.empty());
  CHECK(told(go_on + std::vector<std::string>{"-p", ""}).out == told(kStart + sampling + std::vector<std::string>{"-n", "12"}).out);
  const std::vector<std::string> chat = {"--chat", "--temp", "0", "-p", "Tell me about a fox."};
  CHECK(told(chat + keep).out.empty());
  CHECK(told(chat + go_on).out == told(chat + std::vector<std::string>{"-n", "12"}).out);
  CHECK(tell(kStart + std::vector<std::string>{"--prefill-only"}).exit_code == 2);
  CHECK(tell(kStart + keep + std::vector<std::string>{"-n", "1"}).exit_code == 2);
}

TEST_CASE("program: a path that cannot be saved to is told before the story") {
  const TempFolder folder;
  const std::string file = folder.write("file", "mine");
  const auto save = [](const std::string& path) { return kStart + std::vector<std::string>{"-n", "2", "--save-state", path}; };
  check_refused(save(folder.file("none/state")), "No such file or directory");
  check_refused(save(file + "/state"), "Not a directory");
  check_refused(save(folder.path()), "Is a directory");
  check_refused(save("/dev/null"), "no regular file");
  check_refused(save(""), "cannot write ''");
  const std::string model = model_path("storyteller-35m-q4_k_m.gguf");
  const auto written = fs::last_write_time(model);
  check_refused(std::vector<std::string>{model} + save(model), "the model itself");
  CHECK(fs::last_write_time(model) == written);
  // A run that fails later leaves what was there.
  check_refused({"-p", "", "--save-state", file}, "prompt is empty");
  CHECK(bytes_of(file) == "mine");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("program: a folder that may not be written is told before the story") {
  if (::geteuid() == 0) HOTSET_SKIP("root writes everywhere");
  const TempFolder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0500) == 0);
  check_refused(kStart + std::vector<std::string>{"--save-state", folder.file("state")}, "Permission denied");
  REQUIRE(::chmod(folder.path().c_str(), 0700) == 0);
}

TEST_CASE("program: what is no state to go on from is told before the story") {
  const TempFolder folder;
  const std::string state = folder.file("state");
  told(kStart + std::vector<std::string>{"-n", "2", "--kv-type", "f16", "--save-state", state});
  const std::string good = bytes_of(state);
  const auto load = [](const std::string& path) { return std::vector<std::string>{"-p", "", "-n", "2", "--kv-type", "f16", "--load-state", path}; };
  const std::string anew = "make it anew with --save-state";
  check_refused(load(folder.file("none")), "No such file or directory; --load-state goes on from a file that --save-state made");
  check_refused(load(folder.path()), "is a directory");
  check_refused(load(folder.write("empty", "")), anew);
  check_refused(load(folder.write("text", "Once upon a time there was a text.\n" + std::string(5000, '.'))), "no state of a session; " + anew);
  for (const size_t bytes : {size_t{7}, size_t{130}, good.size() / 2, good.size() - 1}) {
    check_refused(load(folder.write("cut", std::string_view(good).substr(0, bytes))), anew);
  }
  std::string spoilt = good;
  spoilt[good.size() / 2] ^= 4;
  check_refused(load(folder.write("spoilt", spoilt)), "damaged");
  check_refused(load(folder.write("stranger", strangers(good))), "saved with another model");
  check_refused({"-p", "", "--kv-type", "f32", "--load-state", state}, "--kv-type f16");
  check_refused({"-p", "", "--ctx", "4", "--kv-type", "f16", "--load-state", state}, "larger --ctx");
  CHECK(told(load(state)).out.size() > 2);
}

TEST_CASE("program: a disk that fills up while a state is saved is an error, and the former state stays") {
  const TempFolder folder;
  const std::string state = folder.file("state");
  told(kStart + std::vector<std::string>{"-n", "2", "--save-state", state});
  const std::string before = bytes_of(state);
  const ProgramResult full = run_shell("trap '' XFSZ; ulimit -f 16; XDG_CACHE_HOME=" + folder.path() +
                                       "/cache exec \"$HOTSET\" run --device cpu -p Once -n 2 --save-state " + state);
  CHECK(full.exit_code == 1);
  CHECK_FALSE(full.out.empty());
  CHECK_MESSAGE(full.err.find("hotset: cannot write '" + state + "': ") != std::string::npos, full.err);
  CHECK_FALSE(has_partial(state));
  CHECK(bytes_of(state) == before);
}

TEST_CASE("program: two runs that save to one path leave the state of one of them") {
  const TempFolder folder;
  const std::string state = folder.file("state");
  const std::string run = "\"$HOTSET\" run --device cpu --temp 0 -n 3 --save-state " + state;
  const ProgramResult both = run_shell(run + " -p Once >/dev/null & " + run + " -p 'The little dog' >/dev/null; r=$?; wait $! && exit $r");
  CHECK_MESSAGE(both.exit_code == 0, both.err);
  CHECK(both.err.empty());
  CHECK(files_in(folder) == 1);
  told({"--load-state", state, "-p", "", "-n", "2"});
}

// No word comes easily twice: a story of hundreds of words.
TEST_CASE("program: Ctrl-C keeps what was told so far") {
  const TempFolder folder;
  const std::string state = folder.file("state"), out = folder.file("out");
  const std::string endless = " --device cpu --ctx 2048 -p 'Once upon a time' -n 0 --temp 0 --repeat-penalty 2 --repeat-last-n 2048";
  const ProgramResult cut = run_shell("\"$HOTSET\" run" + endless + " --save-state " + state + " >" + out +
                                      " & until [ -s " + out + " ]; do sleep 0.02; done; kill -INT $!; wait $!");
  REQUIRE_MESSAGE(cut.exit_code == 130, cut.err);
  CHECK(cut.err.empty());
  const std::string first = bytes_of(out);
  const ProgramResult second = run_hotset({"run", "--device", "cpu", "--ctx", "2048", "--load-state", state, "-p", "", "-n", "5"});
  REQUIRE_MESSAGE(second.exit_code == 0, second.err);
  CHECK(second.out.size() > 4);
  const std::string said = first + second.out;
  const ProgramResult whole = run_shell("exec \"$HOTSET\" run" + endless + " | head -c " + std::to_string(said.size()));
  CHECK(whole.out == said);
}

TEST_CASE("program: Ctrl-C before the first word leaves the former state") {
  const TempFolder folder;
  const std::string state = folder.write("state", "former");
  const std::string text = folder.write("text", [] {
    std::string words;
    for (int i = 0; i < 1'500; ++i) words += "The dog ran to the tree. ";
    return words;
  }());
  const ProgramResult cut = run_shell("\"$HOTSET\" run --device cpu --ctx 16384 -f " + text + " --save-state " + state +
                                      " & sleep 0.5; kill -INT $!; wait $!");
  CHECK(cut.exit_code == 130);
  CHECK(cut.out.empty());
  CHECK(bytes_of(state) == "former");
  CHECK(files_in(folder) == 2);
}
