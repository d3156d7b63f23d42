// The option table: every option of EngineOptions and SamplerOptions stated once.
//
// An option has a name (the flag without its dashes), a kind, a help sentence that says when to change it, and a way to
// set it from text and to get it as text. Its default is what a fresh OptionSet gets. Command-line flags, --help and the
// README's table are made from here; nothing else states an option. The table is constant: any thread may read it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "runtime/engine/engine.h"

namespace hotset {

// What the options act on.
struct OptionSet {
  EngineOptions engine;
  SamplerOptions sampler;
};

enum class OptionGroup { kEngine, kSampler };
enum class OptionKind { kSize, kCount, kNumber, kText, kChoice, kSwitch };

struct OptionSpec {
  const char* name;        // "vram" is the flag --vram
  OptionGroup group;
  OptionKind kind;
  const char* value_name;  // "SIZE"; for kChoice the choices, "lru" or "f16|f32"; empty for kSwitch
  const char* help;        // one sentence or two
  // Error: the text is no value of this kind, or out of range. The message is one line and names the text, not the flag.
  Status (*set)(OptionSet& options, std::string_view text);
  // What set() would take to bring this value about.
  std::string (*get)(const OptionSet& options);
};

// In the order in which help shows them.
std::span<const OptionSpec> option_table();

// The option of that name; nullptr when there is none.
const OptionSpec* find_option(std::string_view name);

// Sets by name. Errors: no such option; what the option's set() says.
Status set_option(OptionSet& options, std::string_view name, std::string_view text);

// The text of the option's default.
std::string default_text(const OptionSpec& option);

}  // namespace hotset
