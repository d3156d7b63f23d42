#include "runtime/app/model_flags.h"

#include "platform/file.h"
#include "runtime/app/progress_bar.h"

namespace hotset {
namespace {

constexpr uint64_t kMostTextBytes = 1u << 30;

int32_t level_of(const ModelFlags& flags) {
  if (flags.log_level == "error") return HOTSET_LOG_ERROR;
  if (flags.log_level == "debug") return HOTSET_LOG_DEBUG;
  return flags.log_level == "info" || flags.verbose ? HOTSET_LOG_INFO : HOTSET_LOG_WARN;
}

const char* level_name(int32_t level) {
  switch (level) {
    case HOTSET_LOG_ERROR: return "error";
    case HOTSET_LOG_WARN: return "warning";
    case HOTSET_LOG_INFO: return "info";
    default: return "debug";
  }
}

// What is wrong with a value; empty when nothing is. The library says "name: what", the parser puts the flag before it.
std::string flaw_of(const std::string& name, const std::string& value) {
  hotset_error said = HOTSET_ERROR_INIT;
  if (hotset_options_set(api::options().handle(), name.c_str(), value.c_str(), &said) == HOTSET_OK) return {};
  const std::string text = said.message, prefix = name + ": ";
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

void add_option(Flags& flags, const hotset_option_info& info, api::options& options, bool* is_given) {
  const std::string flag = std::string("--") + info.name, name = info.name;
  const char* group = info.is_sampler_option ? "Sampling" : "Device and memory";
  const auto store = [name, &options, is_given](const std::string& text) {
    options.set(name, text);
    if (is_given) *is_given = true;
  };
  if (*info.values == '\0') {
    flags.add(flag, [store] { store("true"); }, info.help).group(group);
    return;
  }
  flags.add(flag, store, info.help)
      .value_name(info.values)
      .show_default(options.get(name))
      .check([name](const std::string& text) { return flaw_of(name, text); })
      .last_wins()
      .group(group);
}

}  // namespace

void add_model_argument(Flags& flags, std::string& model) {
  flags.add("MODEL", &model, "A .gguf file, or the first part of a split one; without it, the shipped model.");
}

void add_options(Flags& flags, FlagGroup group, api::options& options, bool* is_given) {
  for (const hotset_option_info& info : api::option_list()) {
    if ((info.is_sampler_option != 0) == (group == FlagGroup::kSampler)) add_option(flags, info, options, is_given);
  }
}

void add_json_flag(Flags& flags, bool& json, const char* help) { flags.add("--json", &json, help); }

void add_model_flags(Flags& flags, ModelFlags& model_flags) {
  add_model_argument(flags, model_flags.model);
  add_options(flags, FlagGroup::kEngine, model_flags.options);
  flags.add("--log-level", &model_flags.log_level, "Which messages of the engine are shown on stderr.")
      .value_name("error|warn|info|debug")
      .show_default()
      .one_of({"error", "warn", "info", "debug"});
  flags.add("--verbose", &model_flags.verbose, "Say what is going on, and show the figures also when the output is piped.");
}

api::engine open_engine(const ModelFlags& flags, const Console& console, const Interrupt& interrupt) {
  ProgressBar bar(console, "loading", console.watched());
  const auto progress = [&](uint64_t done_bytes, uint64_t total_bytes) {
    bar.update(done_bytes, total_bytes);
    return !interrupt.pressed();
  };
  const auto log = [&console](int32_t level, std::string_view line) {
    console.note(std::string("hotset: ") + level_name(level) + ": " + std::string(line));
  };
  return api::engine(flags.model, flags.options, progress, log, level_of(flags));
}

Result<std::string> load_text(const std::string& path, TextEnd end) {
  auto text = path == "-" ? read_standard_input(kMostTextBytes) : read_whole_file(path, kMostTextBytes);
  if (text.ok() && end == TextEnd::kDropNewline && text->ends_with('\n')) text->pop_back();
  return text;
}

}  // namespace hotset
