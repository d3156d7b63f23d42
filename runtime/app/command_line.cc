// The one file that sees CLI11.
#include "runtime/app/command_line.h"

#include <CLI/CLI.hpp>

namespace hotset {
namespace {

constexpr size_t kFlagColumns = 32;  // of help, left of the texts

// Adds a flag by what its target is; the library converts the value.
struct FlagAdder {
  CLI::App& app;
  const FlagSpec& spec;

  CLI::Option* operator()(std::monostate) const { return app.set_help_flag(spec.names, spec.help); }
  CLI::Option* operator()(bool* field) const { return app.add_flag(spec.names, *field, spec.help); }
  CLI::Option* operator()(const std::function<void()>& act) const { return app.add_flag_callback(spec.names, act, spec.help); }
  CLI::Option* operator()(const std::function<void(const std::string&)>& store) const {
    return app.add_option_function<std::string>(spec.names, store, spec.help);
  }
  template <class T>
  CLI::Option* operator()(T* field) const {
    return app.add_option(spec.names, *field, spec.help);
  }
};

// CLI11 turns "-1" into the largest number.
std::string not_negative(const std::string& text) { return text.starts_with('-') ? text + " is below 0" : ""; }

bool is_number(const FlagTarget& target) {
  return std::holds_alternative<uint32_t*>(target) || std::holds_alternative<uint64_t*>(target) ||
         std::holds_alternative<std::optional<uint32_t>*>(target) || std::holds_alternative<std::optional<uint64_t>*>(target) ||
         std::holds_alternative<std::vector<uint32_t>*>(target);
}

// Checks describe themselves in help unless told not to; the value's name says there what is good.
void add_checks(CLI::Option& option, const FlagSpec& spec) {
  if (is_number(spec.target)) option.check(CLI::Validator(not_negative, "", spec.names));
  if (spec.check) option.check(CLI::Validator([check = spec.check](const std::string& text) { return check(text); }, "", spec.names));
  if (spec.range) option.check(CLI::Range(spec.range->first, spec.range->second).description(""));
  if (!spec.choices.empty()) option.check(CLI::IsMember(spec.choices).description(""));
}

void add_flag(CLI::App& app, const FlagSpec& spec) {
  CLI::Option& option = *std::visit(FlagAdder{app, spec}, spec.target);
  if (!spec.group.empty()) option.group(spec.group);
  if (!spec.has_value()) return;
  option.type_name(spec.value_name)->required(spec.is_required);
  if (spec.is_comma_separated) option.delimiter(',');
  if (spec.last_wins) option.take_last();
  if (spec.shows_default) option.capture_default_str();
  if (spec.default_text) option.default_str(*spec.default_text);
  add_checks(option, spec);
}

void add_command(CLI::App& app, const CommandFlags& command) {
  CLI::App& part = *app.add_subcommand(command.name, command.summary);
  for (const FlagSpec& spec : command.flags.specs()) add_flag(part, spec);
}

std::string named_command(const CLI::App& app) {
  const auto named = app.get_subcommands();
  return named.empty() ? "" : named.front()->get_name();
}

}  // namespace

ParsedLine parse_command_line(const ProgramText& program, std::span<const CommandFlags> commands, const std::vector<std::string>& words) {
  CLI::App app(program.description, program.name);
  app.set_version_flag("--version", program.version);
  app.require_subcommand(1);
  app.get_formatter()->column_width(kFlagColumns);
  for (const CommandFlags& command : commands) add_command(app, command);
  ParsedLine line;
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend() - 1));  // last word first
  } catch (const CLI::ParseError& e) {
    line.is_answered = e.get_exit_code() == 0;
    if (line.is_answered) app.exit(e);  // writes it
    else line.flaw = e.what();
  }
  line.command = named_command(app);
  return line;
}

}  // namespace hotset
