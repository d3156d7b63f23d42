// Words as one text.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace hotset {

// "a, b, c" where `separator` is ", ".
std::string joined(std::span<const std::string> words, std::string_view separator);

}  // namespace hotset
