// JSON as values of a chat template: tools, messages with calls, variables.
#pragma once

#include <string_view>

#include "platform/status.h"
#include "runtime/text/jinja_eval.h"

namespace hotset {

// The value of a JSON text, in the order in which it stands there; it lives as long as the arena. Numbers beyond 64 bits become reals.
// Error: no JSON, nested too deep; `what` names it.
Result<jinja::Value> json_value(std::string_view text, const char* what, jinja::ValueArena& arena);

}  // namespace hotset
