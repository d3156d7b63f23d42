// Jinja parser: tokens to statements, in Jinja's own order of precedence.
#pragma once

#include <string_view>

#include "platform/status.h"
#include "runtime/text/jinja_ast.h"

namespace hotset::jinja {

// Errors: bad syntax, nesting beyond a fixed bound, a statement that this interpreter does not know. Each names the line.
Result<Body> parse(std::string_view source);

}  // namespace hotset::jinja
