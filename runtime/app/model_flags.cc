#include "runtime/app/model_flags.h"

#include "platform/file.h"
#include "platform/log.h"
#include "runtime/app/progress_bar.h"

namespace hotset {
namespace {

constexpr uint64_t kMostTextBytes = 1u << 30;
constexpr size_t kHelpColumns = 68;  // what is left of 100 beside the flags' own column

LogLevel level_of(const ModelFlags& flags) {
  if (flags.log_level == "error") return LogLevel::kError;
  if (flags.log_level == "debug") return LogLevel::kDebug;
  return flags.log_level == "info" || flags.verbose ? LogLevel::kInfo : LogLevel::kWarn;
}

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kError: return "error";
    case LogLevel::kWarn: return "warning";
    case LogLevel::kInfo: return "info";
    case LogLevel::kDebug: return "debug";
  }
  return "";
}

void show_log(const Console& console, LogLevel level) {
  set_log_sink(
      [&console](LogLevel of_line, std::string_view line) {
        console.note(std::string("hotset: ") + level_name(of_line) + ": " + std::string(line));
      },
      level);
}

void add_option(CLI::App& app, const OptionSpec& spec, OptionSet& options) {
  const std::string flag = std::string("--") + spec.name;
  const char* group = spec.group == OptionGroup::kEngine ? "Device and memory" : "Sampling";
  if (spec.kind == OptionKind::kSwitch) {
    app.add_flag_callback(flag, [&spec, &options] { HOTSET_CHECK(spec.set(options, "true").ok()); }, wrap_help(spec.help))
        ->group(group);
    return;
  }
  // The check refuses what set() refuses, so the callback after it cannot fail.
  const auto check = [&spec](const std::string& text) {
    OptionSet scratch;
    return spec.set(scratch, text).message();
  };
  const auto apply = [&spec, &options](const std::string& text) { HOTSET_CHECK(spec.set(options, text).ok()); };
  app.add_option_function<std::string>(flag, apply, wrap_help(spec.help))
      ->type_name(spec.value_name)
      ->default_str(default_text(spec))
      ->check(CLI::Validator(check, "", spec.name))
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

void add_options(CLI::App& app, OptionGroup group, OptionSet& options) {
  for (const OptionSpec& spec : option_table()) {
    if (spec.group == group) add_option(app, spec, options);
  }
}

void add_json_flag(CLI::App& app, bool& json, const char* help) { app.add_flag("--json", json, wrap_help(help)); }

void add_model_flags(CLI::App& app, ModelFlags& flags) {
  add_model_argument(app, flags.model);
  add_options(app, OptionGroup::kEngine, flags.options);
  app.add_option("--log-level", flags.log_level, wrap_help("Which messages of the engine are shown on stderr."))
      ->type_name("error|warn|info|debug")
      ->capture_default_str()
      ->check(CLI::IsMember({"error", "warn", "info", "debug"}).description(""));
  app.add_flag("--verbose", flags.verbose,
               wrap_help("Say what is going on, and show the figures also when the output is piped."));
}

Result<std::string> resolve_model(const std::string& given) {
  if (!given.empty()) return given;
  return shipped_model_path();
}

Result<std::unique_ptr<Engine>> open_engine(const ModelFlags& flags, const Console& console, const Interrupt& interrupt) {
  show_log(console, level_of(flags));
  EngineOptions options = flags.options.engine;
  HOTSET_ASSIGN(options.model_path, resolve_model(flags.model));
  ProgressBar bar(console, "loading", console.watched());
  options.on_progress = [&](const LoadProgress& progress) {
    bar.update(progress.done_bytes, progress.total_bytes);
    return !interrupt.pressed();
  };
  return Engine::open(options);
}

Result<std::string> load_text(const std::string& path, TextEnd end) {
  auto text = path == "-" ? read_standard_input(kMostTextBytes) : read_whole_file(path, kMostTextBytes);
  if (text.ok() && end == TextEnd::kDropNewline && text->ends_with('\n')) text->pop_back();
  return text;
}

}  // namespace hotset
