#include "platform/local_time.h"

namespace hotset {

std::tm local_time_now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm now = {};
  ::localtime_r(&seconds, &now);
  return now;
}

std::optional<std::string> time_text(const std::string& pattern, const std::tm& time) {
  char buffer[4096];
  const std::string marked = pattern + ".";  // so that an empty result is not taken for a failure
  const size_t size = std::strftime(buffer, sizeof buffer, marked.c_str(), &time);
  if (size == 0) return std::nullopt;
  return std::string(buffer, size - 1);
}

}  // namespace hotset
