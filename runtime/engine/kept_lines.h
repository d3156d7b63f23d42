// Lines of the files in the cache folder that keep what was measured: a first line with the version, lines that name whose figures they
// are, then a line a figure. Numbers are written as they are read anywhere, whatever locale the embedder has set.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "platform/status.h"

namespace hotset {

std::string decimal(double value);
// Whether `text` is a number of 0..most and nothing else.
bool read_number(std::string_view text, double most, double& value);
// What stands before the next space; the rest keeps what follows it.
std::string_view cut_word(std::string_view& rest);
// With spaces for line ends.
std::string one_line(std::string text);

// The error of a line that a file of its kind does not have.
Status unknown_line(std::string_view line);

// Hands over the lines behind `owner_lines`, which begin with `first_line`. Errors: those of `read`; kInvalidArgument, another version, or
// figures of another `owner` (what tells owners apart, in words); kCorrupt, a last line without its end.
Status read_kept_lines(std::string_view text, std::string_view first_line, std::string_view owner_lines, const char* owner,
                       const std::function<Status(std::string_view line)>& read);

}  // namespace hotset
