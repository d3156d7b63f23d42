#include "platform/status.h"

#include <cstdarg>
#include <cstdio>

namespace hotset {

const char* code_name(Code code) {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kInvalidArgument: return "invalid argument";
    case Code::kNotFound: return "not found";
    case Code::kCorrupt: return "corrupt";
    case Code::kUnsupported: return "unsupported";
    case Code::kOverBudget: return "over budget";
    case Code::kOutOfMemory: return "out of memory";
    case Code::kIo: return "input/output";
    case Code::kDevice: return "device";
    case Code::kCancelled: return "cancelled";
  }
  return "unknown";
}

Status Status::with_context(std::string_view context) const {
  if (ok()) return *this;
  return Status(code_, std::string(context) + ": " + message_);
}

Status error(Code code, const char* format, ...) {
  char line[1024];
  va_list args;
  va_start(args, format);
  std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  return Status(code, line);
}

}  // namespace hotset
