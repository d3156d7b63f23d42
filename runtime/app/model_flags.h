// ModelFlags: the flags that every command with a model shares, and opening the model as they say.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "runtime/app/console.h"
#include "runtime/app/interrupt.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/option_table.h"

namespace hotset {

struct ModelFlags {
  std::string model;  // empty: the shipped one
  OptionSet options;
  std::string log_level = "warn";
  bool verbose = false;
  bool json = false;
};

// Adds [MODEL]. `flags` must outlive the parsing, here and below.
void add_model_argument(CLI::App& app, std::string& model);
// Adds the options of one group of the option table.
void add_options(CLI::App& app, OptionGroup group, OptionSet& options);
// Adds [MODEL], the engine's options, --log-level and --verbose.
void add_model_flags(CLI::App& app, ModelFlags& flags);
void add_json_flag(CLI::App& app, bool& json, const char* help);

// Breaks a help text into lines for the column that CLI11 leaves.
std::string wrap_help(const std::string& text);

// The path that was given, or the shipped model's.
Result<std::string> resolve_model(const std::string& given);

// Opens the engine under a progress bar; Ctrl-C cancels (kCancelled). Sets the log's sink first.
Result<std::unique_ptr<Engine>> open_engine(const ModelFlags& flags, const Console& console, const Interrupt& interrupt);

// Editors and echo end a text with a newline that a prompt does not want.
enum class TextEnd { kAsIs, kDropNewline };

// A text from a file; "-" is standard input.
Result<std::string> load_text(const std::string& path, TextEnd end);

}  // namespace hotset
