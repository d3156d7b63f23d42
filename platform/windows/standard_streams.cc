#include "platform/standard_streams.h"

#include "platform/windows/wide.h"

#include <shellapi.h>

#include <algorithm>
#include <cerrno>

namespace hotset {
namespace {

#ifndef ENABLE_VIRTUAL_TERMINAL_PROCESSING
constexpr DWORD ENABLE_VIRTUAL_TERMINAL_PROCESSING = 4;
#endif
constexpr wchar_t kEndOfInput = 0x1a;  // Ctrl-Z

HANDLE handle_of(Stream stream) {
  switch (stream) {
    case Stream::kInput: return ::GetStdHandle(STD_INPUT_HANDLE);
    case Stream::kOutput: return ::GetStdHandle(STD_OUTPUT_HANDLE);
    case Stream::kError: return ::GetStdHandle(STD_ERROR_HANDLE);
  }
  return INVALID_HANDLE_VALUE;
}

// A console takes UTF-16; its pages for bytes are for its user to set.
int write_to_console(HANDLE console, std::string_view text) {
  const std::wstring whole = os::wide(text);
  for (std::wstring_view rest = whole; !rest.empty();) {
    DWORD wrote = 0;
    const DWORD size = static_cast<DWORD>(std::min<size_t>(rest.size(), 8192));
    if (!::WriteConsoleW(console, rest.data(), size, &wrote, nullptr)) return os::last_errno();
    rest.remove_prefix(wrote);
  }
  return 0;
}

// A line, which the console lets its user edit. At most three bytes for each of its UTF-16 units fit.
os::MovedBytes read_console(HANDLE console, std::span<char> out) {
  wchar_t line[1024];
  DWORD got = 0;
  const DWORD size = static_cast<DWORD>(std::clamp<size_t>(out.size() / 3, 1, 1024));
  ::SetLastError(ERROR_SUCCESS);
  if (!::ReadConsoleW(console, line, size, &got, nullptr)) return {0, os::last_errno()};
  if (got == 0 && ::GetLastError() == ERROR_OPERATION_ABORTED) return {0, EINTR};
  if (got != 0 && line[0] == kEndOfInput) return {};
  const std::string text = os::narrow({line, got});
  const size_t fitting = std::min(text.size(), out.size());
  std::copy_n(text.data(), fitting, out.data());
  return {fitting, 0};
}

}  // namespace

bool is_terminal(Stream stream) {
  DWORD mode = 0;
  return ::GetConsoleMode(handle_of(stream), &mode) != 0;
}

void prepare_streams() {
  for (const Stream stream : {Stream::kOutput, Stream::kError}) {
    DWORD mode = 0;
    if (::GetConsoleMode(handle_of(stream), &mode)) ::SetConsoleMode(handle_of(stream), mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
  }
}

int write_text(Stream stream, std::string_view text) {
  if (is_terminal(stream)) return write_to_console(handle_of(stream), text);
  while (!text.empty()) {
    DWORD wrote = 0;
    const auto size = static_cast<DWORD>(std::min<size_t>(text.size(), 1u << 30));
    if (!::WriteFile(handle_of(stream), text.data(), size, &wrote, nullptr)) return os::last_errno();
    text.remove_prefix(wrote);
  }
  return 0;
}

os::MovedBytes read_input(std::span<char> out) {
  const HANDLE input = handle_of(Stream::kInput);
  if (is_terminal(Stream::kInput)) return read_console(input, out);
  DWORD got = 0;
  if (::ReadFile(input, out.data(), static_cast<DWORD>(std::min<size_t>(out.size(), 1u << 30)), &got, nullptr)) return {got, 0};
  return ::GetLastError() == ERROR_BROKEN_PIPE ? os::MovedBytes() : os::MovedBytes{0, os::last_errno()};  // the writer has gone
}

std::vector<std::string> program_arguments(int argc, char** argv) {
  int count = 0;
  wchar_t** words = ::CommandLineToArgvW(::GetCommandLineW(), &count);
  if (!words) return {argv, argv + argc};
  std::vector<std::string> arguments;
  for (int i = 0; i < count; ++i) arguments.push_back(os::narrow(words[i]));
  ::LocalFree(words);
  return arguments;
}

}  // namespace hotset
