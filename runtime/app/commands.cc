#include "runtime/app/command.h"

namespace hotset {

std::vector<std::unique_ptr<Command>> make_commands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(make_run_command());
  commands.push_back(make_eval_command());
  commands.push_back(make_bench_command());
  commands.push_back(make_inspect_command());
  commands.push_back(make_pack_command());
  commands.push_back(make_convert_command());
  commands.push_back(make_plan_command());
  commands.push_back(make_heatmap_command());
  commands.push_back(make_devices_command());
  commands.push_back(make_simulate_command());
  commands.push_back(make_tokenize_command());
  return commands;
}

std::vector<CommandFlags> declare_flags(std::span<const std::unique_ptr<Command>> commands) {
  std::vector<CommandFlags> declared;
  for (const auto& command : commands) {
    declared.push_back({command->name(), command->summary(), {}});
    command->add_flags(declared.back().flags);
  }
  return declared;
}

}  // namespace hotset
