// The C functions under calls that nobody planned: the fuzzer's interpreter with programs from a seeded generator.
#include <doctest/doctest.h>

#include <filesystem>
#include <random>

#include "platform/os_file.h"
#include "tests/api/abi_interpreter.h"
#include "tests/test_support.h"

using hotset::test::AbiInterpreter;

TEST_CASE("abi: calls in any order, with any handles, sizes and states, are answered rightly") {
  const auto folder = std::filesystem::temp_directory_path() / ("hotset_abi_test" + std::to_string(hotset::os::process_id()));
  std::filesystem::create_directories(folder);
  uint64_t calls = 0, good_calls = 0;
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::vector<uint8_t> program(20'000);
    for (uint8_t& byte : program) byte = static_cast<uint8_t>(random());
    AbiInterpreter interpreter(program, hotset::test::data_path("models/qwen3moe/model.gguf"), folder.string());
    interpreter.run(400);
    for (const std::string& complaint : interpreter.complaints()) FAIL_CHECK(complaint);
    calls += interpreter.calls();
    good_calls += interpreter.good_calls();
  }
  std::filesystem::remove_all(folder);
  CHECK(calls > 3000);
  CHECK(good_calls > calls / 8);
}
