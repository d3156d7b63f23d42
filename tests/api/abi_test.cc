// The C functions under calls that nobody planned: the fuzzer's interpreter with programs from a seeded generator.
#include <doctest/doctest.h>

#include <random>

#include "tests/api/abi_interpreter.h"
#include "tests/api/exported_functions.h"
#include "tests/temp_folder.h"

using hotset::test::AbiInterpreter;

namespace {

// That succeed on a device only, of which the interpreter has none: vulkan_device_test.cc and sessions_test.cc have one.
const std::set<std::string> kOfDevices = {"hotset_engine_give_vram_back", "hotset_engine_open_vulkan", "hotset_engine_set_vram",
                                          "hotset_measure_links",         "hotset_report_devices",     "hotset_vulkan_get_needs"};

using Tallies = std::map<std::string, AbiInterpreter::Tally>;

void run_seed(uint32_t seed, Tallies& tallies) {
  CAPTURE(seed);
  const hotset::test::TempFolder folder;
  std::mt19937 random(seed);
  std::vector<uint8_t> program(60'000);
  for (uint8_t& byte : program) byte = static_cast<uint8_t>(random());
  AbiInterpreter interpreter(program, hotset::test::make_abi_places(folder.path()));
  interpreter.run(600);
  for (const std::string& complaint : interpreter.complaints()) FAIL_CHECK(complaint);
  for (const auto& [name, tally] : interpreter.tallies()) {
    tallies[name].calls += tally.calls;
    tallies[name].good += tally.good;
  }
}

}  // namespace

TEST_CASE("abi: calls of every function in any order, with any handles, sizes and states, are answered rightly") {
  Tallies tallies;
  for (uint32_t seed = 1; seed <= 12; ++seed) run_seed(seed, tallies);
  const std::set<std::string> exported = hotset::test::exported_functions();
  REQUIRE(exported.size() > 60);
  for (const std::string& name : exported) {
    INFO(name);
    CHECK_MESSAGE(tallies[name].calls > 0, "AbiInterpreter does not call it: add it");
    CHECK((tallies[name].good > 0 || kOfDevices.contains(name)));
  }
  AbiInterpreter::Tally all;
  for (const auto& [name, tally] : tallies) {
    INFO(name);
    CHECK(exported.contains(name));
    all.calls += tally.calls;
    all.good += tally.good;
  }
  CHECK(all.good > all.calls / 4);
}
