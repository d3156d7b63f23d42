// The command line as a whole: finds the command that the words name, and stores what they say in its flags. Main thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/app/flags.h"

namespace hotset {

struct ProgramText {
  std::string name;
  std::string description;
  std::string version;  // what --version writes
};

struct ParsedLine {
  std::string command;       // the one that was named, also when its flags are wrong; empty: none
  std::string flaw;          // what is wrong with the words; empty: nothing
  bool is_answered = false;  // --help or --version was asked for and is on stdout: nothing is left to do
};

// `words` begin with the program's own name. Throws what a target that is a function throws.
ParsedLine parse_command_line(const ProgramText& program, std::span<const CommandFlags> commands, const std::vector<std::string>& words);

}  // namespace hotset
