#include "runtime/app/model_flags.h"

#include "platform/file.h"
#include "runtime/app/progress_bar.h"

namespace hotset {
namespace {

constexpr uint64_t kMostTextBytes = 1u << 30;
constexpr size_t kHelpColumns = 68;  // what is left of 100 beside the flags' own column

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

// What is wrong with a value; empty when nothing is. The library says "name: what", CLI11 puts the flag before it.
std::string flaw_of(const char* name, const std::string& value) {
  hotset_error said = HOTSET_ERROR_INIT;
  if (hotset_options_set(api::options().handle(), name, value.c_str(), &said) == HOTSET_OK) return {};
  const std::string text = said.message, prefix = std::string(name) + ": ";
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

void add_option(CLI::App& app, const hotset_option_info& info, api::options& options) {
  const std::string flag = std::string("--") + info.name, name = info.name;
  const char* group = info.is_sampler_option ? "Sampling" : "Device and memory";
  if (*info.values == '\0') {
    app.add_flag_callback(flag, [name, &options] { options.set(name, "true"); }, wrap_help(info.help))->group(group);
    return;
  }
  app.add_option_function<std::string>(flag, [name, &options](const std::string& text) { options.set(name, text); }, wrap_help(info.help))
      ->type_name(info.values)
      ->default_str(options.get(name))
      ->check(CLI::Validator([info](const std::string& text) { return flaw_of(info.name, text); }, "", name))
      ->take_last()
      ->group(group);
}

}  // namespace

std::string wrap_help(const std::string& text) {
  std::string out;
  size_t column = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (column > 0 && column + 1 + (end - at) > kHelpColumns) {
      out += '\n';
      column = 0;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out.append(text, at, end - at);
    column += end - at;
    at = end + 1;
  }
  return out;
}

void add_model_argument(CLI::App& app, std::string& model) {
  app.add_option("MODEL", model, wrap_help("A .gguf file, or the first part of a split one; without it, the shipped model."))
      ->type_name("");
}

void add_options(CLI::App& app, FlagGroup group, api::options& options) {
  for (const hotset_option_info& info : api::option_list()) {
    if ((info.is_sampler_option != 0) == (group == FlagGroup::kSampler)) add_option(app, info, options);
  }
}

void add_json_flag(CLI::App& app, bool& json, const char* help) { app.add_flag("--json", json, wrap_help(help)); }

void add_model_flags(CLI::App& app, ModelFlags& flags) {
  add_model_argument(app, flags.model);
  add_options(app, FlagGroup::kEngine, flags.options);
  app.add_option("--log-level", flags.log_level, wrap_help("Which messages of the engine are shown on stderr."))
      ->type_name("error|warn|info|debug")
      ->capture_default_str()
      ->check(CLI::IsMember({"error", "warn", "info", "debug"}).description(""));
  app.add_flag("--verbose", flags.verbose,
               wrap_help("Say what is going on, and show the figures also when the output is piped."));
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
