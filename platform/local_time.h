// The date and time of day where the computer stands, and both as text. Any thread.
#pragma once

#include <ctime>
#include <optional>
#include <string>

namespace hotset {

std::tm local_time_now();

// As strftime writes it, in at most 4095 bytes. Nothing: it would be longer, or the system does not know what the pattern asks for.
std::optional<std::string> time_text(const std::string& pattern, const std::tm& time);

}  // namespace hotset
