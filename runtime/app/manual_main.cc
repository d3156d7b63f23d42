// hotset_manual FOLDER: writes what comes with an installed program and follows from its flags: hotset.1 (man page), hotset.bash, _hotset (zsh)
// and hotset.fish (completions). Run at build time.
#include <cstdio>
#include <string>
#include <vector>

#include <hotset/hotset.hpp>

#include "platform/file.h"
#include "runtime/app/command.h"

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

std::vector<std::string> long_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string options_page(const CLI::App& command) {
  std::string page;
  for (const CLI::Option* option : command.get_options()) {
    const std::string value = option->get_type_size() > 0 ? " " + option->get_type_name() : "";
    page += ".TP\n.B " + roff(option->get_name(true, true)) + roff(value) + "\n" + roff(option->get_description()) + "\n";
  }
  return page;
}

std::string man_page(const CLI::App& program, const std::vector<CLI::App*>& commands) {
  std::string page = std::string(".TH HOTSET 1 \"\" \"hotset ") + api::version() + "\" \"User Commands\"\n.SH NAME\nhotset \\- " + roff(program.get_description()) +
                     "\n.SH SYNOPSIS\n.B hotset\n.I COMMAND\n[\\fIOPTIONS\\fR]\n.SH COMMANDS\n";
  for (const CLI::App* command : commands) page += ".TP\n.B " + roff(command->get_name()) + "\n" + roff(command->get_description()) + "\n";
  for (const CLI::App* command : commands) {
    page += ".SH HOTSET " + roff(command->get_name()) + "\n" + roff(command->get_description()) + "\n" + options_page(*command);
  }
  page += ".SH EXIT STATUS\n0: done. 1: it failed, and one line on stderr says why. 2: wrong flags. 130: Ctrl\\-C.\n"
          ".SH FILES\n.TP\n.I ~/.cache/hotset\nWhat was measured of this machine's devices and links. It may be deleted.\n";
  return page;
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " ") + word;
  return all;
}

std::string command_names(const std::vector<CLI::App*>& commands) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands) names.push_back(command->get_name());
  return joined(names);
}

std::string bash_completion(const std::vector<CLI::App*>& commands) {
  std::string script = "_hotset() {\n  local word=${COMP_WORDS[COMP_CWORD]} words=\n  if [ \"$COMP_CWORD\" -eq 1 ]; then words='" +
                       command_names(commands) + "'; else case ${COMP_WORDS[1]} in\n";
  for (const CLI::App* command : commands) script += "    " + command->get_name() + ") words='" + joined(long_names(*command)) + "' ;;\n";
  script += "  esac; fi\n  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}\ncomplete -o default -F _hotset hotset\n";
  return script;
}

std::string zsh_completion(const std::vector<CLI::App*>& commands) {
  std::string script = "#compdef hotset\nif (( CURRENT == 2 )); then compadd -- " + command_names(commands) + "; return; fi\ncase $words[2] in\n";
  for (const CLI::App* command : commands) script += "  " + command->get_name() + ") compadd -- " + joined(long_names(*command)) + " ;;\n";
  return script + "esac\n_files\n";
}

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("\\'") : std::string(1, c);
  return out + "'";
}

std::string fish_completion(const std::vector<CLI::App*>& commands) {
  std::string script;
  for (const CLI::App* command : commands) {
    script += "complete -c hotset -n __fish_use_subcommand -a " + command->get_name() + " -d " + quoted(command->get_description()) + "\n";
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        script += "complete -c hotset -n '__fish_seen_subcommand_from " + command->get_name() + "' -l " + name + " -d " + quoted(option->get_description()) + "\n";
      }
    }
  }
  return script;
}

Status write_all(const std::string& folder) {
  CLI::App program("runs Mixture-of-Experts language models larger than the GPU, their hot experts cached in VRAM", "hotset");
  const auto made = make_commands();
  std::vector<CLI::App*> commands;
  for (const auto& command : made) {
    commands.push_back(program.add_subcommand(command->name(), command->summary()));
    command->add_flags(*commands.back());
  }
  HOTSET_RETURN_IF_ERROR(write_whole_file(folder + "/hotset.1", man_page(program, commands)));
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
