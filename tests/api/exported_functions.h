// The names of the functions that the library exports, as runtime/api/symbols.txt has them: for tests that must know every one.
#pragma once

#include <fstream>
#include <set>
#include <string>

#include "tests/test_support.h"

namespace hotset::test {

inline std::set<std::string> exported_functions() {
  std::set<std::string> names;
  std::ifstream file(std::string(HOTSET_SOURCE_DIR) + "/runtime/api/symbols.txt");
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) names.insert(line);
  }
  return names;
}

}  // namespace hotset::test
