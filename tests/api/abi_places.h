// AbiPlaces: the files that an AbiInterpreter's calls read, right ones, and where they write.
#pragma once

#include <string>

namespace hotset::test {

struct AbiPlaces {
  std::string model;       // a small one
  std::string checkpoint;  // a folder to convert
  std::string trace;       // of routing
  std::string links;       // rates of a machine
  std::string out;         // a folder for whatever calls write
};

// In a folder that is there.
AbiPlaces make_abi_places(const std::string& folder);

}  // namespace hotset::test
