// What tests of several floors share: where data lies, how a test says that it cannot run.
#pragma once

#include <string>

namespace hotset::test {

// Counts the running test as skipped and prints "skipped: why".
void note_skip(const char* why);

// Files that are part of the project.
inline std::string data_path(const std::string& name) { return std::string(HOTSET_SOURCE_DIR) + "/tests/data/" + name; }
inline std::string model_path(const std::string& name) { return std::string(HOTSET_SOURCE_DIR) + "/models/" + name; }
// Larger data that may lie beside the checkout; tests that want it skip without it.
inline std::string shared_path(const std::string& name) { return std::string(HOTSET_SOURCE_DIR) + "/../shared/" + name; }

}  // namespace hotset::test

// Ends the running test as skipped.
#define HOTSET_SKIP(why)             \
  do {                               \
    ::hotset::test::note_skip(why);  \
    return;                          \
  } while (0)
