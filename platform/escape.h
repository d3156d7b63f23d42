// Text from outside (files, drivers, models) made fit to be shown: it cannot steer a terminal. Pure.
#pragma once

#include <string>
#include <string_view>

namespace hotset {

// The text with control characters as \xNN and \n. Newlines too.
std::string escape_controls(std::string_view text);

}  // namespace hotset
