#include "platform/standard_streams.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace hotset {
namespace {

int descriptor_of(Stream stream) {
  switch (stream) {
    case Stream::kInput: return STDIN_FILENO;
    case Stream::kOutput: return STDOUT_FILENO;
    case Stream::kError: return STDERR_FILENO;
  }
  return STDERR_FILENO;
}

}  // namespace

bool is_terminal(Stream stream) { return ::isatty(descriptor_of(stream)) == 1; }

void prepare_streams() { ::signal(SIGPIPE, SIG_IGN); }

int write_text(Stream stream, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(descriptor_of(stream), text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno;
    text.remove_prefix(static_cast<size_t>(wrote));
  }
  return 0;
}

os::MovedBytes read_input(std::span<char> out) {
  const ssize_t got = ::read(STDIN_FILENO, out.data(), out.size());
  return got < 0 ? os::MovedBytes{0, errno} : os::MovedBytes{static_cast<uint64_t>(got), 0};
}

std::vector<std::string> program_arguments(int argc, char** argv) { return {argv, argv + argc}; }

}  // namespace hotset
