// The project's paths are UTF-8 text; std::filesystem's narrow text is not, on Windows. Its paths are made and read through these.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace hotset {

inline std::filesystem::path native_path(std::string_view utf8) {
  const auto* begin = reinterpret_cast<const char8_t*>(utf8.data());
  return std::filesystem::path(begin, begin + utf8.size());
}

inline std::string utf8_text(const std::filesystem::path& path) {
  const std::u8string text = path.u8string();
  return std::string(text.begin(), text.end());
}

}  // namespace hotset
