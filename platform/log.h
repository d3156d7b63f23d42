// The log: lines at a level, sent to a sink. The library prints nothing unless a sink is set.
// Any thread may log; set_log_sink is for program start.
#pragma once

#include <functional>
#include <string_view>

namespace hotset {

enum class LogLevel { kError, kWarn, kInfo, kDebug };

using LogSink = std::function<void(LogLevel, std::string_view line)>;

// Lines above `level` are dropped before they are formatted. An empty sink drops everything.
void set_log_sink(LogSink sink, LogLevel level);
bool log_enabled(LogLevel level);

// As long as it lives, lines of this thread go to its sink instead: a library's caller sees those of its own calls alone. `sink` outlives it.
class LogScope {
 public:
  LogScope(const LogSink& sink, LogLevel level);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

 private:
  friend bool log_enabled(LogLevel level);
  friend void log_line(LogLevel level, const char* format, ...);

  const LogSink& sink_;
  const LogLevel level_;
  LogScope* const outer_;
};

[[gnu::format(printf, 2, 3)]] void log_line(LogLevel level, const char* format, ...);

}  // namespace hotset
