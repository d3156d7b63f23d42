// The folders are floors: a file includes only what lies on its own floor or below (docs/design.md).
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace fs = std::filesystem;

namespace {

// For each folder, the project folders that it may include.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"platform", {"platform"}},
    {"offload", {"offload", "platform"}},
    {"runtime/format", {"runtime/format", "platform"}},
    {"runtime/text", {"runtime/text", "runtime/format", "platform"}},
    {"runtime/compute", {"runtime/compute", "runtime/format", "shaders", "platform"}},
    {"runtime/model", {"runtime/model", "runtime/compute", "runtime/format", "shaders", "offload", "platform"}},
    {"runtime/engine",
     {"runtime/engine", "runtime/model", "runtime/compute", "runtime/text", "runtime/format", "offload", "platform"}},
    {"runtime/api", {"runtime/api", "runtime/engine", "platform"}},
    {"runtime/app", {"runtime/app", "platform"}},  // of the library it has the public headers alone: <hotset/...>
};

// Included headers that stand for a folder of their own: "a/b/c.h" lies in "a/b", "platform/vulkan/x.h" in "platform".
std::string floor_of(const std::string& include) {
  for (const auto& [folder, allowed] : kMayInclude) {
    if (include.rfind(folder + "/", 0) == 0) return folder;
  }
  const size_t slash = include.find('/');
  return slash == std::string::npos ? "" : include.substr(0, slash);
}

}  // namespace

TEST_CASE("no file includes an upper floor") {
  const fs::path root = HOTSET_SOURCE_DIR;
  const std::regex include_line(R"re(^\s*#\s*include\s+"([^"]+)")re");
  int files = 0;
  for (const auto& [folder, allowed] : kMayInclude) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cc" && extension != ".c") continue;
      ++files;
      std::ifstream in(entry.path());
      std::smatch match;
      for (std::string line; std::getline(in, line);) {
        if (!std::regex_search(line, match, include_line)) continue;
        const std::string target = floor_of(match[1].str());
        const bool allowed_here = allowed.count(target) != 0;
        CHECK_MESSAGE(allowed_here, fs::relative(entry.path(), root).string(), " includes ", match[1].str());
      }
    }
  }
  CHECK(files > 10);
}
