#include "platform/log.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace hotset {
namespace {

struct LogState {
  std::atomic<int> level{-1};  // highest level that is formatted; -1 is nothing
  std::mutex lock;
  LogSink sink;  // guarded by lock
};

LogState& state() {
  static LogState instance;
  return instance;
}

thread_local LogScope* innermost = nullptr;

}  // namespace

LogScope::LogScope(const LogSink& sink, LogLevel level) : sink_(sink), level_(level), outer_(innermost) { innermost = this; }
LogScope::~LogScope() { innermost = outer_; }

void set_log_sink(LogSink sink, LogLevel level) {
  std::lock_guard guard(state().lock);
  state().level = sink ? static_cast<int>(level) : -1;
  state().sink = std::move(sink);
}

bool log_enabled(LogLevel level) {
  if (innermost) return innermost->sink_ && level <= innermost->level_;
  return static_cast<int>(level) <= state().level;
}

void log_line(LogLevel level, const char* format, ...) {
  if (!log_enabled(level)) return;
  char line[1024];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (innermost) return innermost->sink_(level, line);
  std::lock_guard guard(state().lock);
  if (state().sink) state().sink(level, line);
}

}  // namespace hotset
