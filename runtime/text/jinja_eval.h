// Jinja evaluator: renders a parsed template with variables, within bounds.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/status.h"
#include "runtime/text/jinja_ast.h"
#include "runtime/text/jinja_runtime.h"

namespace hotset::jinja {

// The names a template sees at its outermost level.
using Variables = std::vector<std::pair<std::string_view, Value>>;

// The text of `body`. Values made on the way live in `arena`. Errors name the line: what the template raises, what it asks
// for that is not there, what is not supported, or a bound that it exceeds.
Result<std::string> render(const Body& body, const Variables& variables, ValueArena& arena, const std::tm& now,
                           const Limits& limits = {});

}  // namespace hotset::jinja
