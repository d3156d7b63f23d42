// Console: the program's standard streams. Results go to stdout, everything else to stderr.
//
// One object, made in main and passed to what speaks; one thread writes to stdout, any thread may note. A closed pipe
// ends the output quietly; a full disk is an error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/escape.h"
#include "platform/status.h"

namespace hotset {

class Console {
 public:
  // Looks at what the streams are. Ignores SIGPIPE for the process, so that a closed pipe is an error of write().
  Console();

  bool input_is_terminal() const { return input_is_terminal_; }
  bool output_is_terminal() const { return output_is_terminal_; }
  // Someone is watching: progress and figures are shown. False when stdout is piped.
  bool watched() const { return output_is_terminal_ && error_is_terminal_; }

  // Writes all of `text` to stdout at once. False from the first failure on; the caller then stops what it does.
  bool write(std::string_view text);
  // Why write() failed; ok when it never did, or when the reader has gone.
  Status output_status() const;

  // Writes one line to stderr, with control characters made visible.
  void note(std::string_view line) const;
  // Writes to stderr as it is, for progress and such.
  void draw(std::string_view text) const;

 private:
  const bool input_is_terminal_;
  const bool output_is_terminal_;
  const bool error_is_terminal_;
  int output_errno_ = 0;  // of the first failure
};

// All of standard input. Error: more than `limit_bytes`, I/O error.
Result<std::string> read_standard_input(uint64_t limit_bytes);

}  // namespace hotset
