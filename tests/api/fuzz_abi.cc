// libFuzzer's entry over the C functions (CONTRIBUTING.md says how to build and run it): any bytes are a program of calls, and none may
// crash, leak, or be answered wrongly.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tests/api/abi_interpreter.h"
#include "tests/temp_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const hotset::test::TempFolder folder;
  static const hotset::test::AbiPlaces places = hotset::test::make_abi_places(folder.path());
  std::filesystem::remove_all(places.out);  // what an input does, it does again alone
  std::filesystem::create_directory(places.out);
  hotset::test::AbiInterpreter interpreter({data, size}, places);
  interpreter.run(300);
  for (const std::string& complaint : interpreter.complaints()) std::fprintf(stderr, "%s\n", complaint.c_str());
  if (!interpreter.complaints().empty()) std::abort();
  return 0;
}
