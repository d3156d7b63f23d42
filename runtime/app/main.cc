// The program: names its commands, parses the command line, and turns what came of it into an exit code.
// 0: done. 1: it failed, one line on stderr says why. 2: wrong flags. 130: Ctrl-C.
#include <clocale>

#include <hotset/hotset.hpp>

#include "platform/standard_streams.h"
#include "runtime/app/command.h"
#include "runtime/app/command_line.h"

namespace {

using namespace hotset;

enum ExitCode { kDone = 0, kFailed = 1, kWrongFlags = 2, kInterrupted = 130 };

// `command`: the one that was named, or empty.
int wrong_flags(const Console& console, const std::string& command, const std::string& message) {
  const std::string help = command.empty() ? "hotset --help" : "hotset " + command + " --help";
  console.note("hotset: " + message + "; see '" + help + "'");
  return kWrongFlags;
}

// What is wrong when the command line names no command that there is; empty otherwise.
std::string command_flaw(const std::vector<std::string>& words, const std::vector<std::unique_ptr<Command>>& commands) {
  const std::string first = words.size() < 2 ? "" : words[1];
  if (first.starts_with('-')) return {};
  std::string names;
  for (const auto& command : commands) {
    if (first == command->name()) return {};
    names += (names.empty() ? "" : ", ") + std::string(command->name());
  }
  return words.size() < 2 ? "no command was given: " + names : "'" + first + "' is not a command: " + names;
}

int finish(const Console& console, const Status& status) {
  if (status.code() == Code::kCancelled) return kInterrupted;
  const Status result = status.ok() ? console.output_status() : status;
  if (result.ok()) return kDone;
  console.note("hotset: " + result.message());
  return kFailed;
}

// The command's own errors are a Status, those of the library exceptions.
Status execute(Command& command, Console& console) {
  try {
    return command.execute(console);
  } catch (const api::error& failed) {
    return Status(static_cast<Code>(failed.code()), failed.what());
  } catch (const std::exception& failed) {
    return error(Code::kOutOfMemory, "the system refused memory: %s", failed.what());
  }
}

int run_program(const std::vector<std::string>& words, Console& console) {
  const auto commands = make_commands();
  const std::string flaw = command_flaw(words, commands);
  if (!flaw.empty()) return wrong_flags(console, "", flaw);
  const ProgramText program = {.name = "hotset",
                               .description = "Runs Mixture-of-Experts language models larger than the GPU, their hot experts cached in VRAM.",
                               .version = std::string("hotset ") + api::version()};
  const ParsedLine line = parse_command_line(program, declare_flags(commands), words);
  if (line.is_answered) return kDone;
  if (!line.flaw.empty()) return wrong_flags(console, line.command, line.flaw);
  for (const auto& command : commands) {
    if (line.command != command->name()) continue;
    const Status usage = command->check_usage();
    return usage.ok() ? finish(console, execute(*command, console)) : wrong_flags(console, line.command, usage.message());
  }
  return kWrongFlags;
}

}  // namespace

int main(int argc, char** argv) {
  // Line editing needs to know how the terminal writes characters. Numbers stay in the C locale.
  if (!std::setlocale(LC_CTYPE, "")) std::setlocale(LC_CTYPE, "C.UTF-8");
  Console console;
  return run_program(program_arguments(argc, argv), console);
}
