// Status and Result: how every floor reports what the world did wrong.
//
// The world (a file, a device, memory, an argument) fails with a Status whose message is one line that
// says what is wrong and, where it can, what to do. A bug fails with HOTSET_CHECK (check.h).
// Values; any thread may use its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "platform/check.h"

namespace hotset {

enum class Code {
  kOk,
  kInvalidArgument,  // the caller asked for something that cannot be
  kNotFound,         // no such file, device, tensor, key
  kCorrupt,          // a file contradicts itself or its format
  kUnsupported,      // well formed, but not something this build knows
  kOverBudget,       // would need more VRAM or RAM than the budget allows
  kOutOfMemory,      // the system or the device refused memory
  kIo,               // the operating system failed a read or write
  kDevice,           // the GPU driver failed or the device was lost
  kCancelled,        // a callback asked to stop
};

const char* code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same error with "context: " before its message.
  Status with_context(std::string_view context) const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

inline Status ok_status() { return {}; }

// printf-style error.
[[gnu::format(printf, 2, 3)]] Status error(Code code, const char* format, ...);

// A T or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) { HOTSET_CHECK(!status_.ok()); }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  T& value() & {
    HOTSET_CHECK(ok());
    return *value_;
  }
  const T& value() const& {
    HOTSET_CHECK(ok());
    return *value_;
  }
  T&& value() && {
    HOTSET_CHECK(ok());
    return std::move(*value_);
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }

 private:
  std::optional<T> value_;
  Status status_;
};

#define HOTSET_CONCAT_INNER(a, b) a##b
#define HOTSET_CONCAT(a, b) HOTSET_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expr` (a Status) is an error.
#define HOTSET_RETURN_IF_ERROR(expr)                      \
  do {                                                    \
    ::hotset::Status hotset_status_ = (expr);             \
    if (!hotset_status_.ok()) return hotset_status_;      \
  } while (0)

// Declares `lhs` from a Result, or returns its error.
#define HOTSET_ASSIGN(lhs, expr) HOTSET_ASSIGN_INNER(HOTSET_CONCAT(hotset_result_, __LINE__), lhs, expr)
#define HOTSET_ASSIGN_INNER(tmp, lhs, expr)  \
  auto tmp = (expr);                         \
  if (!tmp.ok()) return tmp.status();        \
  lhs = std::move(tmp).value()

}  // namespace hotset
