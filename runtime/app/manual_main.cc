// hotset_manual FOLDER: writes what comes with an installed program and follows from its flags: hotset.1 (man page), hotset.bash, _hotset (zsh)
// and hotset.fish (completions). Run at build time.
#include <cstdio>
#include <string>
#include <vector>

#include <hotset/hotset.hpp>

#include "platform/file.h"
#include "runtime/app/command.h"
#include "runtime/app/word_list.h"

namespace {

using namespace hotset;

// Text for roff: no line may begin with its control characters.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') out += "\\e";
    else if (c == '-') out += "\\-";
    else if (c == '\n') out += ' ';
    else out += c;
  }
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out.insert(0, "\\&");
  return out;
}

std::vector<std::string> long_names(const CommandFlags& command) {
  std::vector<std::string> names;
  for (const FlagSpec& flag : command.flags.specs()) {
    for (const std::string& name : flag.long_names()) names.push_back(name);
  }
  return names;
}

std::string options_page(const CommandFlags& command) {
  std::string page;
  for (const FlagSpec& flag : command.flags.specs()) {
    page += ".TP\n.B " + roff(flag.names + " " + flag.value_name) + "\n" + roff(flag.help) + "\n";
  }
  return page;
}

std::string man_page(const std::string& description, const std::vector<CommandFlags>& commands) {
  std::string page = std::string(".TH HOTSET 1 \"\" \"hotset ") + api::version() + "\" \"User Commands\"\n.SH NAME\nhotset \\- " + roff(description) +
                     "\n.SH SYNOPSIS\n.B hotset\n.I COMMAND\n[\\fIOPTIONS\\fR]\n.SH COMMANDS\n";
  for (const CommandFlags& command : commands) page += ".TP\n.B " + roff(command.name) + "\n" + roff(command.summary) + "\n";
  for (const CommandFlags& command : commands) {
    page += ".SH HOTSET " + roff(command.name) + "\n" + roff(command.summary) + "\n" + options_page(command);
  }
  page += ".SH EXIT STATUS\n0: done. 1: it failed, and one line on stderr says why. 2: wrong flags. 130: Ctrl\\-C.\n"
          ".SH FILES\n.TP\n.I ~/.cache/hotset\nWhat was measured of this machine's devices and links. It may be deleted.\n";
  return page;
}

std::string command_names(const std::vector<CommandFlags>& commands) {
  std::vector<std::string> names;
  for (const CommandFlags& command : commands) names.push_back(command.name);
  return joined(names, " ");
}

std::string bash_completion(const std::vector<CommandFlags>& commands) {
  std::string script = "_hotset() {\n  local word=${COMP_WORDS[COMP_CWORD]} words=\n  if [ \"$COMP_CWORD\" -eq 1 ]; then words='" +
                       command_names(commands) + "'; else case ${COMP_WORDS[1]} in\n";
  for (const CommandFlags& command : commands) script += "    " + command.name + ") words='" + joined(long_names(command), " ") + "' ;;\n";
  script += "  esac; fi\n  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}\ncomplete -o default -F _hotset hotset\n";
  return script;
}

std::string zsh_completion(const std::vector<CommandFlags>& commands) {
  std::string script = "#compdef hotset\nif (( CURRENT == 2 )); then compadd -- " + command_names(commands) + "; return; fi\ncase $words[2] in\n";
  for (const CommandFlags& command : commands) script += "  " + command.name + ") compadd -- " + joined(long_names(command), " ") + " ;;\n";
  return script + "esac\n_files\n";
}

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("\\'") : std::string(1, c);
  return out + "'";
}

std::string fish_completion(const std::vector<CommandFlags>& commands) {
  std::string script;
  for (const CommandFlags& command : commands) {
    script += "complete -c hotset -n __fish_use_subcommand -a " + command.name + " -d " + quoted(command.summary) + "\n";
    for (const FlagSpec& flag : command.flags.specs()) {
      for (const std::string& name : flag.long_names()) {
        script += "complete -c hotset -n '__fish_seen_subcommand_from " + command.name + "' -l " + name.substr(2) + " -d " + quoted(flag.help) + "\n";
      }
    }
  }
  return script;
}

Status write_all(const std::string& folder) {
  const auto made = make_commands();
  const auto commands = declare_flags(made);
  const char* description = "runs Mixture-of-Experts language models larger than the GPU, their hot experts cached in VRAM";
  HOTSET_RETURN_IF_ERROR(write_whole_file(folder + "/hotset.1", man_page(description, commands)));
  HOTSET_RETURN_IF_ERROR(write_whole_file(folder + "/hotset.bash", bash_completion(commands)));
  HOTSET_RETURN_IF_ERROR(write_whole_file(folder + "/_hotset", zsh_completion(commands)));
  return write_whole_file(folder + "/hotset.fish", fish_completion(commands));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: hotset_manual FOLDER\n");
    return 2;
  }
  const Status written = write_all(argv[1]);
  if (written.ok()) return 0;
  std::fprintf(stderr, "hotset_manual: %s\n", written.message().c_str());
  return 1;
}
