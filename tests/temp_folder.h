// A place for a test's files.
#pragma once

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "platform/os_file.h"

namespace hotset::test {

// A folder that is gone, with what lies in it, when the test is over.
class TempFolder {
 public:
  TempFolder() {
    static std::atomic<uint32_t> count{0};
    const std::string name = "hotset-test-" + std::to_string(os::process_id()) + "-" + std::to_string(count++);
    const std::filesystem::path folder = std::filesystem::temp_directory_path() / name;
    std::filesystem::remove_all(folder);  // of an earlier process with that number
    if (std::filesystem::create_directory(folder)) path_ = folder.string();
  }
  ~TempFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file and returns its path.
  std::string write(const std::string& name, std::string_view bytes) const {
    std::ofstream(file(name), std::ios::binary) << bytes;
    return file(name);
  }

 private:
  std::string path_;
};

// Whether a file that a FileWriter has not finished lies beside `path`.
inline bool has_partial(const std::string& path) {
  const std::filesystem::path whole = std::filesystem::absolute(path);
  for (const auto& entry : std::filesystem::directory_iterator(whole.parent_path())) {
    if (entry.path().filename().string().starts_with(whole.filename().string() + ".partial")) return true;
  }
  return false;
}

}  // namespace hotset::test
