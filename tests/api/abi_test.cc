// The C functions under calls that nobody planned: the fuzzer's interpreter with programs from a seeded generator.
#include <doctest/doctest.h>

#include <random>

#include "tests/api/abi_interpreter.h"
#include "tests/temp_folder.h"
#include "tests/test_support.h"

using hotset::test::AbiInterpreter;

TEST_CASE("abi: calls in any order, with any handles, sizes and states, are answered rightly") {
  const hotset::test::TempFolder folder;
  uint64_t calls = 0, good_calls = 0;
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::vector<uint8_t> program(20'000);
    for (uint8_t& byte : program) byte = static_cast<uint8_t>(random());
    AbiInterpreter interpreter(program, hotset::test::data_path("models/qwen3moe/model.gguf"), folder.path());
    interpreter.run(400);
    for (const std::string& complaint : interpreter.complaints()) FAIL_CHECK(complaint);
    calls += interpreter.calls();
    good_calls += interpreter.good_calls();
  }
  CHECK(calls > 3000);
  CHECK(good_calls > calls / 8);
}
