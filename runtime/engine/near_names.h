// Names as people type them, and what they may have meant. Pure functions; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hotset {

// Letters and digits in lower case: "RTX 3060 12GB", "rtx3060-12gb" and "Rtx_3060_12Gb" are one name.
std::string plain_name(std::string_view name);

// Up to three of `names`, the nearest first: those that hold the text or differ from it in few letters.
std::vector<std::string_view> near_names(std::string_view text, std::span<const std::string_view> names);

// "; did you mean a, b or c?", or nothing when nothing is near.
std::string did_you_mean(std::string_view text, std::span<const std::string_view> names);

}  // namespace hotset
