#include "runtime/app/console.h"

#include <array>
#include <cerrno>
#include <cstring>

#include "platform/standard_streams.h"

namespace hotset {

Console::Console()
    : input_is_terminal_(is_terminal(Stream::kInput)),
      output_is_terminal_(is_terminal(Stream::kOutput)),
      error_is_terminal_(is_terminal(Stream::kError)) {
  prepare_streams();
}

bool Console::write(std::string_view text) {
  if (output_errno_ == 0) output_errno_ = write_text(Stream::kOutput, text);
  return output_errno_ == 0;
}

Status Console::output_status() const {
  if (output_errno_ == 0 || output_errno_ == EPIPE) return ok_status();
  return error(Code::kIo, "cannot write to standard output: %s", std::strerror(output_errno_));
}

void Console::note(std::string_view line) const { draw(escape_controls(line) + "\n"); }

void Console::draw(std::string_view text) const { write_text(Stream::kError, text); }

Result<std::string> read_standard_input(uint64_t limit_bytes) {
  std::string content;
  std::array<char, 65536> chunk;
  while (true) {
    const os::MovedBytes got = read_input(chunk);
    if (got.error == EINTR) continue;
    if (got.error != 0) return error(Code::kIo, "cannot read standard input: %s", std::strerror(got.error));
    if (got.size_bytes == 0) return content;
    content.append(chunk.data(), got.size_bytes);
    if (content.size() > limit_bytes) {
      return error(Code::kInvalidArgument, "standard input is longer than %llu bytes",
                   static_cast<unsigned long long>(limit_bytes));
    }
  }
}

}  // namespace hotset
