// ModelFlags: the flags that every command with a model shares, and opening the model as they say.
#pragma once

#include <string>

#include <hotset/hotset.hpp>

#include "platform/status.h"
#include "runtime/app/console.h"
#include "runtime/app/flags.h"
#include "runtime/app/interrupt.h"

namespace hotset {

struct ModelFlags {
  std::string model;  // empty: the shipped one
  api::options options;
  std::string log_level = "warn";
  bool verbose = false;
  bool json = false;
};

enum class FlagGroup { kEngine, kSampler };

// Adds [MODEL]. What is filled in must outlive the parsing, here and below.
void add_model_argument(Flags& flags, std::string& model);
// Adds the library's options of one group. `is_given`, where there is one, becomes true when the command line has any of them.
void add_options(Flags& flags, FlagGroup group, api::options& options, bool* is_given = nullptr);
// Adds [MODEL], the engine's options, --log-level and --verbose.
void add_model_flags(Flags& flags, ModelFlags& model_flags);
void add_json_flag(Flags& flags, bool& json, const char* help);

// Opens the engine under a progress bar; Ctrl-C cancels it. Its log goes to the console. Throws what the library says.
api::engine open_engine(const ModelFlags& flags, const Console& console, const Interrupt& interrupt);

// What fails after Ctrl-C has failed because of it. `work`: Status().
template <class Work>
Status interruptible(const Interrupt& interrupt, Work work) {
  try {
    const Status status = work();
    if (status.ok() || !interrupt.pressed()) return status;
  } catch (const api::error&) {
    if (!interrupt.pressed()) throw;
  }
  return error(Code::kCancelled, "interrupted");
}

// HOTSET_JSON or HOTSET_TEXT.
inline hotset_format report_format(bool json) { return json ? HOTSET_JSON : HOTSET_TEXT; }

// NULL for what was not given.
inline const char* given(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

// Editors and echo end a text with a newline that a prompt does not want.
enum class TextEnd { kAsIs, kDropNewline };

// A text from a file; "-" is standard input.
Result<std::string> load_text(const std::string& path, TextEnd end);

}  // namespace hotset
