// Flags: what one command takes on the command line, as plain data that the parser, --help, the man page and the completions read.
//
// A command declares each flag once and says where its value goes; parse_command_line() (command_line.h) reads words into them.
// No header of the library that parses is seen from here: it is slow to compile, and most of the program's files declare flags.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace hotset {

// Where the value of a flag goes once it was found good. A field must outlive the parsing, and holds the default until then.
// bool* and the function without a parameter are of flags without a value, std::monostate is of --help.
using FlagTarget = std::variant<std::monostate, bool*, std::string*, uint32_t*, uint64_t*, std::optional<std::string>*, std::optional<uint32_t>*,
                                std::optional<uint64_t>*, std::vector<std::string>*, std::vector<uint32_t>*, std::function<void()>,
                                std::function<void(const std::string&)>>;

// What is wrong with a value; empty when nothing is.
using FlagCheck = std::function<std::string(const std::string& value)>;

struct FlagSpec {
  std::string names;  // "-f,--file", or "MODEL" for an argument by position
  FlagTarget target;
  std::string help;                         // in the lines that --help shows
  std::string value_name;                   // "FILE"
  std::string group;                        // heading in help; empty: the usual one
  std::optional<std::string> default_text;  // shown in help
  bool shows_default = false;               // what the target holds before parsing is shown in help
  bool is_required = false;
  bool is_comma_separated = false;
  bool last_wins = false;                              // when given again; else that is wrong, except of a list
  FlagCheck check;                                     // none by default
  std::vector<std::string> choices;                    // the only good values; empty: no such list
  std::optional<std::pair<uint32_t, uint32_t>> range;  // least and most

  bool has_value() const;
  // "--file" of "-f,--file".
  std::vector<std::string> long_names() const;
};

// Says more of a flag that was just declared; valid until Flags goes away.
class Flag {
 public:
  explicit Flag(FlagSpec& spec) : spec_(spec) {}

  // What help calls the value, "" by default.
  Flag& value_name(std::string name);
  // Shows what the target holds now, or a text of the caller's.
  Flag& show_default();
  Flag& show_default(std::string text);
  Flag& range(uint32_t least, uint32_t most);
  Flag& one_of(std::vector<std::string> choices);
  Flag& check(FlagCheck check);
  Flag& required();
  // One word may hold several values of a list.
  Flag& comma_separated();
  Flag& last_wins();
  Flag& group(std::string heading);

 private:
  FlagSpec& spec_;
};

class Flags {
 public:
  // --help is there from the start.
  Flags();

  // `help` is broken into lines for its column.
  Flag add(std::string names, FlagTarget target, const std::string& help);

  // In the order of declaration.
  const std::deque<FlagSpec>& specs() const { return specs_; }

 private:
  std::deque<FlagSpec> specs_;  // a deque: handles stay valid while more is added
};

// A command as the command line knows it.
struct CommandFlags {
  std::string name;
  std::string summary;
  Flags flags;
};

}  // namespace hotset
