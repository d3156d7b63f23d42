// A program's streams and arguments. The library uses none of this. Its halves are posix/standard_streams.cc and
// windows/standard_streams.cc. Text is UTF-8 on every system; errors are values of errno, 0 is none.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/os_file.h"

namespace hotset {

enum class Stream { kInput, kOutput, kError };

bool is_terminal(Stream stream);

// Once, before the first write: a closed pipe is EPIPE of write_text() from then on and ends no process; a terminal understands escapes.
void prepare_streams();

// All of it, past any buffer.
int write_text(Stream stream, std::string_view text);

// What there is of standard input, up to out.size(); nothing at its end. EINTR: Ctrl-C came meanwhile.
os::MovedBytes read_input(std::span<char> out);

// The words of the command line, the program's name first.
std::vector<std::string> program_arguments(int argc, char** argv);

}  // namespace hotset
