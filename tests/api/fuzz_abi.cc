// libFuzzer's entry over the C functions (CONTRIBUTING.md says how to build and run it): any bytes are a program of calls, and none may
// crash, leak, or be answered wrongly.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tests/api/abi_interpreter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string folder = [] {
    const auto made = std::filesystem::temp_directory_path() / "hotset_fuzz_abi";
    std::filesystem::create_directories(made);
    return made.string();
  }();
  hotset::test::AbiInterpreter interpreter({data, size}, std::string(HOTSET_SOURCE_DIR) + "/tests/data/models/qwen3moe/model.gguf", folder);
  interpreter.run(300);
  for (const std::string& complaint : interpreter.complaints()) std::fprintf(stderr, "%s\n", complaint.c_str());
  if (!interpreter.complaints().empty()) std::abort();
  return 0;
}
