// Values as models write them in calls that are not JSON: Python's literals and Gemma's.
//
// Pure functions; any bytes are safe. Strict: nullopt where something is not understood.
#pragma once

#include <optional>
#include <string>

#include "runtime/text/text_cursor.h"

namespace hotset {

// The value that begins at the cursor, as JSON; the cursor passes it. Texts stand in quotes of either kind with backslashes, or between
// Gemma's <|"|> without. Lists stand in square or round brackets, and a mapping's keys are texts or bare names. True, true, None, null...
std::optional<std::string> take_literal(TextCursor& cursor);

// A name of letters, digits, underlines, hyphens and dots; empty where there is none.
std::string_view take_name(TextCursor& cursor);

}  // namespace hotset
