// Command: one word after `hotset`, with its flags and what it does.
//
// main makes each once, lets it declare its flags, and executes the one that was named. Main thread only.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "platform/status.h"
#include "runtime/app/console.h"
#include "runtime/app/flags.h"

namespace hotset {

class Command {
 public:
  virtual ~Command() = default;

  virtual const char* name() const = 0;
  virtual const char* summary() const = 0;
  // Adds flags to its own part of the command line; they are stored in the command.
  virtual void add_flags(Flags& flags) = 0;
  // What the command line's own rules cannot say, such as flags that need each other. Called after parsing.
  virtual Status check_usage() const { return ok_status(); }
  // Error: one line for the user. kCancelled means that Ctrl-C ended it.
  virtual Status execute(Console& console) = 0;
};

std::unique_ptr<Command> make_run_command();
std::unique_ptr<Command> make_eval_command();
std::unique_ptr<Command> make_bench_command();
std::unique_ptr<Command> make_inspect_command();
std::unique_ptr<Command> make_pack_command();
std::unique_ptr<Command> make_convert_command();
std::unique_ptr<Command> make_plan_command();
std::unique_ptr<Command> make_heatmap_command();
std::unique_ptr<Command> make_devices_command();
std::unique_ptr<Command> make_simulate_command();
std::unique_ptr<Command> make_tokenize_command();

// All commands, in the order of help.
std::vector<std::unique_ptr<Command>> make_commands();

// The flags of each, in that order. The commands must outlive the parsing.
std::vector<CommandFlags> declare_flags(std::span<const std::unique_ptr<Command>> commands);

}  // namespace hotset
