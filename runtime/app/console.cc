#include "runtime/app/console.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace hotset {
namespace {

// The errno of the first failure, 0 when all was written.
int write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(descriptor, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno;
    text.remove_prefix(static_cast<size_t>(wrote));
  }
  return 0;
}

}  // namespace

Console::Console()
    : input_is_terminal_(::isatty(STDIN_FILENO) == 1),
      output_is_terminal_(::isatty(STDOUT_FILENO) == 1),
      error_is_terminal_(::isatty(STDERR_FILENO) == 1) {
  ::signal(SIGPIPE, SIG_IGN);
}

bool Console::write(std::string_view text) {
  if (output_errno_ == 0) output_errno_ = write_all(STDOUT_FILENO, text);
  return output_errno_ == 0;
}

Status Console::output_status() const {
  if (output_errno_ == 0 || output_errno_ == EPIPE) return ok_status();
  return error(Code::kIo, "cannot write to standard output: %s", std::strerror(output_errno_));
}

void Console::note(std::string_view line) const { draw(escape_controls(line) + "\n"); }

void Console::draw(std::string_view text) const { write_all(STDERR_FILENO, text); }

Result<std::string> read_standard_input(uint64_t limit_bytes) {
  std::string content;
  std::array<char, 65536> chunk;
  while (true) {
    const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error(Code::kIo, "cannot read standard input: %s", std::strerror(errno));
    if (got == 0) return content;
    content.append(chunk.data(), static_cast<size_t>(got));
    if (content.size() > limit_bytes) {
      return error(Code::kInvalidArgument, "standard input is longer than %llu bytes",
                   static_cast<unsigned long long>(limit_bytes));
    }
  }
}

}  // namespace hotset
