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

[[gnu::format(printf, 2, 3)]] void log_line(LogLevel level, const char* format, ...);

}  // namespace hotset
