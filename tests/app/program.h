// Runs the built program as a user would and keeps what it said.
#pragma once

#include <string>
#include <vector>

namespace hotset::test {

struct ProgramResult {
  int exit_code = -1;  // 128 + signal when a signal ended it
  std::string out;
  std::string err;
};

// `hotset ARGS...` with `input` as its standard input, from a pipe; nothing of it is a terminal.
ProgramResult run_hotset(const std::vector<std::string>& args, const std::string& input = "");

// A shell command line, in which $HOTSET is the program. For pipes.
ProgramResult run_shell(const std::string& command);

// A file of this test run, removed when it ends.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }
  std::string content() const;

 private:
  std::string path_;
};

}  // namespace hotset::test
